"""A trained run as a game: from a few real frames on, every next frame is the networks' answer to an action."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from runvet_lab.base.config import load
from runvet_lab.worlds import data, measures, pipeline
from runvet_lab.worlds.adventure import ACTIONS, Frame
from runvet_lab.worlds.config import Config

KEYS = {".": "noop", "u": "up", "d": "down", "l": "left", "r": "right"}


class Player:
    """Plays one run. `codes` is the latent action for each name of `actions`."""

    def __init__(self, run: Path, *, seed: int = 0, threads: int = 0) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.config = load(Config, [run / pipeline.CONFIG])
        self.video = data.read(pipeline.frames_of(self.config, run))
        self.learned = pipeline.learned(self.config, run, self.video)
        path = pipeline.newest(run, "dynamics")
        self.model = pipeline.dynamics_of(path, self.config.dynamics, self.learned)
        self.actions, self.codes = _controls(self.video, self.learned.actions.numpy(), self.learned.n_actions)
        self.seconds: list[float] = []
        self.restart(seed)

    def restart(self, seed: int = 0) -> Frame:
        """Begin at some held-out frames; the last of them."""
        context = self.config.dynamics.context
        starts = data.windows(self.video, context, data.split(self.video)[1])
        return self.begin(int(np.random.default_rng(seed).choice(starts)))

    def begin(self, row: int) -> Frame:
        """Begin with the frames from a row of the video on, as many as the networks look back; the last of them."""
        context = self.config.dynamics.context
        self.tokens = self.learned.codes[row : row + context][None]
        self.led = self.learned.actions[row : row + context - 1][None]
        return self._drawn()

    @torch.no_grad()
    def step(self, action: str) -> Frame:
        """The next frame (h, w, 3) after an action by name, or by the number of its code."""
        if action not in self.actions and not (action.isdigit() and int(action) < self.learned.n_actions):
            raise ValueError(f"unknown action {action[:20]!r}; known are {', '.join(self.actions)}")
        begun = time.perf_counter()
        code = self.codes[self.actions.index(action)] if action in self.actions else int(action)
        led = torch.cat([self.led, torch.tensor([[code]])], 1)
        made = self.model.next(self.tokens, led, rounds=self.config.dynamics.rounds)
        self.tokens = torch.cat([self.tokens[:, 1:], made[:, None]], 1)
        self.led = led[:, 1:]
        frame = self._drawn()
        self.seconds.append(time.perf_counter() - begun)
        return frame

    @property
    def speed(self) -> float:
        """Frames a second, the median over all steps so far; 0 before the first."""
        return float(1 / np.median(self.seconds)) if self.seconds else 0.0

    @torch.no_grad()
    def _drawn(self) -> Frame:
        picture = self.learned.tokenizer.decode(self.tokens[:, -1:])[0, 0]
        return (picture.movedim(0, -1).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _controls(video: data.Video, codes: measures.Labels, n_actions: int) -> tuple[list[str], list[int]]:
    """Names and latent codes: those that stand for the true actions. Where none are known, the commonest codes in turn, so that
    the keys do something; what, is for the player to find out.
    """
    if video.actions is None or video.visible is None:
        often = np.argsort(-np.bincount(codes, minlength=n_actions), kind="stable")
        return list(ACTIONS), [int(often[i % n_actions]) for i in range(len(ACTIONS))]
    first, last = data.split(video)[0]
    rows = data.windows(video, 2, (first, last))
    return list(ACTIONS), measures.codes_of(codes[rows], video.actions[rows], video.visible[rows], len(ACTIONS))
