"""A finished (or running) training read back for use: its checkpoint, vocabulary and configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from runvet.checkpoints import CheckpointManager, load
from runvet_lab.voxels import run_folder, sampling, tokens
from runvet_lab.voxels.config import Config
from runvet_lab.voxels.diffusion.process import Process, Sampling
from runvet_lab.voxels.model import Model, process
from runvet_lab.voxels.shapes import Grid
from runvet_lab.voxels.tokens import Vocabulary
from runvet_lab.voxels.train import precision


@dataclass
class Trained:
    """A model that can be sampled from."""

    config: Config
    vocabulary: Vocabulary
    model: Model
    process: Process
    step: int

    def sample(
        self,
        prompts: Sequence[str],
        settings: Sampling | None = None,
        *,
        seed: int = 0,
        progress: Callable[[int], Any] | None = None,
    ) -> Grid:
        """Block ids (n, x, y, z), one grid a prompt."""
        own = settings or self.config.sampling
        told = prompts if self.config.train.use_prompt and own.use_prompt else [""] * len(prompts)
        device = next(self.model.parameters()).device
        half = precision(self.config.launch) == "bf16-mixed"
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            return sampling.draw(self.model, self.process, told, self.vocabulary.size, own, seed, progress=progress)


def checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints of a run by step."""
    found = {
        int(p.name.rpartition("-")[2]): p
        for p in sorted((folder / "checkpoints").glob("step-*"))
        if p.name[5:].isdigit()
    }
    if not found:
        raise run_folder.NotARun(f"{folder}: no checkpoint below {folder / 'checkpoints'}")
    return found


def open_run(folder: Path, step: int | str | None = None, device: str = "auto") -> Trained:
    """The averaged weights of a run: of the step given, of the `best` by its metric (the default), or the `last`.

    Raises NotARun, ConfigProblem, ValueError; SaveFailed where a checkpoint is damaged.
    """
    config, vocabulary = run_folder.read_config(folder), tokens.load(folder)
    found = checkpoints(folder)
    chosen = _chosen(folder, config, found, step)
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    made = process(config, vocabulary, place)
    model = Model(config, made, vocabulary.size).to(place).requires_grad_(False).eval()
    state = load(chosen, map_location=place)
    model.load_state_dict(state["ema"])
    return Trained(config, vocabulary, model, made, int(state["step"]))


def _chosen(folder: Path, config: Config, found: dict[int, Path], step: int | str | None) -> Path:
    if isinstance(step, int) or (isinstance(step, str) and step.isdigit()):
        if int(step) not in found:
            raise ValueError(f"{folder}: no checkpoint of step {step}; there are {', '.join(map(str, sorted(found)))}")
        return found[int(step)]
    stopping = config.train.early_stopping
    direction: Literal["up", "down"] = "down" if stopping.direction == "down" else "up"
    manager = CheckpointManager(folder / "checkpoints", best=(stopping.metric, direction))
    try:
        best = manager.best() if step in (None, "best") else None
        return best or manager.trusted() or found[max(found)]
    finally:
        manager.close()
