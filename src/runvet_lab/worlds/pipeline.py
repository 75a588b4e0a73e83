"""The three stages one after the other into a run folder, each with the outputs of those before by explicit path.

RUN/config.yaml  RUN/data/adventure_frames.h5  RUN/results/<stage>/{metrics.jsonl, config.yaml, checkpoints/, visualizations/}
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runvet_lab.base import config as configs
from runvet_lab.worlds import adventure, data, three_files
from runvet_lab.worlds.config import ActionsStage, Config, DynamicsStage, TokenizerStage
from runvet_lab.worlds.fit import fit, pieces
from runvet_lab.worlds.models.actions import LatentActions
from runvet_lab.worlds.models.dynamics import Dynamics
from runvet_lab.worlds.models.flow import FlowDynamics
from runvet_lab.worlds.models.tokenizer import Tokenizer
from runvet_lab.worlds.parallel import launched
from runvet_lab.worlds.saving import Saver, weights
from runvet_lab.worlds.stages import actions, dynamics, tokenizer
from runvet_lab.worlds.stages.actions import ActionsTask
from runvet_lab.worlds.stages.dynamics import DynamicsTask, Learned
from runvet_lab.worlds.stages.tokenizer import TokenizerTask

CONFIG, RESULTS = "config.yaml", "results"


def train(config: Config, folder: Path, *, resume: bool = False) -> dict[str, dict[str, float]]:
    """Train the stages that `config.stages` names; their last evaluations.

    Raises DataProblem, ValueError for an unknown stage or a missing earlier one, MissingExtra.
    """
    unknown = set(config.stages) - {"video_tokenizer", "latent_actions", "dynamics"}
    if unknown:
        raise ValueError(f"unknown stages {sorted(unknown)}; known are video_tokenizer, latent_actions, dynamics")
    fabric = launched(config.launch, config.seed, config.faults.timeout)
    video = _video(config, folder, fabric)
    found = {}
    for name in config.stages:
        fabric.seed_everything(config.seed, verbose=False)  # each stage begins alike, trained alone or not
        begun, spent = time.perf_counter(), time.process_time()
        out = folder / RESULTS / name
        task = _task(name, config, folder, video, fabric)
        stop = config.faults.stop_after if name == "dynamics" else 0
        if stop and not resume:
            fit(fabric, task, out, config, stop=stop)
            task = _task(name, config, folder, video, fabric)
        found[name] = fit(fabric, task, out, config, resume=resume or bool(stop))
        found[name] |= {"wall_s": time.perf_counter() - begun, "cpu_s": time.process_time() - spent}
        fabric.barrier()
    return found


def newest(folder: Path, stage: str) -> Path:
    """The newest checkpoint of a stage of a run. Raises ValueError where there is none."""
    place = folder / RESULTS / stage / "checkpoints"
    path = Saver.newest_of(place, stage)
    if path is None:
        raise ValueError(f"{place}: no checkpoint; train {stage} first")
    return path


def tokenizer_of(path: Path, recipe: TokenizerStage, side: int) -> Tokenizer:
    """The tokenizer of a checkpoint, to use."""
    model = tokenizer.build(recipe, side)
    model.load_state_dict(weights(path))
    return model.eval().requires_grad_(False)


def actions_of(path: Path, recipe: ActionsStage) -> LatentActions:
    """The latent actions of a checkpoint, to use."""
    model = actions.build(recipe)
    model.load_state_dict(weights(path))
    return model.eval().requires_grad_(False)


def dynamics_of(path: Path, recipe: DynamicsStage, before: Learned) -> Dynamics | FlowDynamics:
    """The dynamics of a checkpoint, to use."""
    model = dynamics.build(recipe, before)
    model.load_state_dict(weights(path))
    return model.eval().requires_grad_(False)


def learned(config: Config, folder: Path, video: data.Video) -> Learned:
    """Codes and actions of all frames, by the newest checkpoints of the first two stages; kept on disk by their hashes."""
    place = folder / RESULTS
    path = newest(folder, "video_tokenizer")
    model = tokenizer_of(path, config.tokenizer, video.frames.shape[1])
    key = _hash(path)
    codes = _kept(place / f"tokens-{key[:16]}.npy", lambda: _codes(model, video))
    steps = newest(folder, "latent_actions")
    led = actions_of(steps, config.actions)
    between = _kept(place / f"actions-{_hash(steps)[:16]}.npy", lambda: _between(led, video))
    if config.faults.other_tokens:
        torch.manual_seed(config.seed + 1)
        stranger = tokenizer.build(config.tokenizer, video.frames.shape[1]).eval()
        codes = _codes(stranger, video)
    return Learned(
        torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(between.astype(np.int64)),
        config.actions.n_actions, model, key,
    )  # fmt: skip


def frames_of(config: Config, folder: Path) -> Path:
    """The file of a run's frames."""
    return Path(config.data.file) if config.data.file else folder / "data" / "adventure_frames.h5"


def _video(config: Config, folder: Path, fabric: Any) -> data.Video:
    path = frames_of(config, folder)
    if fabric.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        configs.save(config, folder / CONFIG)
        if not config.data.file and not path.exists():
            wanted = config.data
            made = adventure.walk(
                wanted.frames, wanted.seed, guards=wanted.guards, still=wanted.still, hold=(1, wanted.hold)
            )
            data.write(path, made, seed=wanted.seed)
    fabric.barrier()
    return data.read(path)


def _task(name: str, config: Config, folder: Path, video: data.Video, fabric: Any) -> Any:
    cuts = config.data.across_cuts
    torch.manual_seed(config.seed)
    if name == "video_tokenizer":
        return TokenizerTask(config.tokenizer, video, across_cuts=cuts)
    if name == "latent_actions":
        return ActionsTask(config.actions, video, across_cuts=cuts)
    if fabric.is_global_zero:
        learned(config, folder, video)  # fills the cache for all ranks
    fabric.barrier()
    before = learned(config, folder, video)
    torch.manual_seed(config.seed)
    before.tokenizer.to(fabric.device)
    return DynamicsTask(config.dynamics, video, before, across_cuts=cuts)


def _codes(model: Tokenizer, video: data.Video) -> np.ndarray[Any, Any]:
    """(n, places) uint16; with a window of more than one frame, each by the frames before it as far as they go."""
    times, made = model.encoder.time.shape[0], []
    with torch.no_grad():
        for rows in pieces(np.arange(len(video)), 256):
            at = (rows[:, None] + np.arange(1 - times, 1)).clip(0)
            made.append(model.encode(torch.from_numpy(video.frames[at]))[:, -1].numpy().astype(np.uint16))
    return np.concatenate(made)


def _between(model: LatentActions, video: data.Video) -> np.ndarray[Any, Any]:
    """(n,) uint8: the action from each frame to the next; the last frame's is 0."""
    made = []
    with torch.no_grad():
        for rows in pieces(np.arange(len(video) - 1), 256):
            frames = torch.from_numpy(data.take(video, rows, 2))
            made.append(model.codes(frames)[:, 0].numpy().astype(np.uint8))
    return np.append(np.concatenate(made), np.uint8(0))


def _kept(path: Path, make: Any) -> np.ndarray[Any, Any]:
    if path.exists():
        kept: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
        return kept
    made: np.ndarray[Any, Any] = make()
    part = path.with_suffix(".part.npy")
    np.save(part, made)
    part.replace(path)
    return made


def _hash(path: Path) -> str:
    """SHA-256 of a checkpoint's weights, as they lie on the disk."""
    name = three_files.FILES[0] if three_files.is_at(path) else "state.pt"
    return hashlib.sha256((path / name).read_bytes()).hexdigest()
