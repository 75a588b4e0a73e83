"""A training as it is set up, and a run as it was: data, scale, network."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from runvet.checkpoints import CheckpointManager
from runvet_lab.base import config as configs
from runvet_lab.trajectories import loading, samples, text
from runvet_lab.trajectories.config import Config
from runvet_lab.trajectories.loading import Inputs, Scale
from runvet_lab.trajectories.model import Regressor, freeze, velocity_prior

CONFIG, CHECKPOINTS, VOCABULARY = "config.yaml", "checkpoints", "vocabulary.json"


class NotARun(ValueError):
    """A folder that is no run of this lab; the message says what is missing."""


@dataclass(slots=True)
class Setup:
    """Everything that a training needs, before its first step."""

    config: Config
    folder: Path
    train: Inputs
    val: Inputs
    found: dict[str, samples.Samples]
    scale: Scale
    reach: Tensor
    model: Regressor


def prepare(config: Config, folder: Path) -> Setup:
    """Read or generate the data and build the network. Raises DataProblem, ValueError, MissingExtra."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(config.data.root) if config.data.root else folder / "data"
    if not config.data.root and not (root / "split").is_dir():
        loading.generate(root, config.data, config.seed)
    found = {
        split: loading.disturbed(
            samples.read(root, split, skip=config.data.skip_broken),
            config.data,
            training=split == "train",
            seed=config.seed,
        )
        for split in ("train", "val")
    }
    vocabulary = text.vocabulary(found["train"].texts)
    train, val = (loading.inputs(found[split], vocabulary) for split in ("train", "val"))
    scale = loading.scale_of(train.paths, normalise=config.train.normalise)
    model = build(config, len(vocabulary), scale, train)
    configs.save(config, folder / CONFIG)
    (folder / VOCABULARY).write_text(json.dumps(vocabulary), encoding="utf-8")
    return Setup(config, folder, train, val, found, scale, config.model.reach / scale.std, model)


def build(config: Config, words: int, scale: Scale, like: Inputs) -> Regressor:
    """The network, its lazy layers made by a first batch. The switch FREEZE_BACKBONE of the environment is heard."""
    torch.manual_seed(config.seed)
    model = Regressor(config.model, words, prior=velocity_prior(scale.mean, scale.std))
    few = like.take(torch.arange(min(2, len(like))))
    with torch.no_grad():
        model(few.vehicle, few.roadside, few.words, few.past)
    if config.model.freeze_backbone or os.environ.get("FREEZE_BACKBONE") == "1":
        freeze(model)
    return model


def load(folder: Path, *, checkpoint: str = "best", like: Setup | None = None) -> tuple[Setup, Regressor]:
    """A run as it was set up, with the weights of `best`, `last`, or a step's number. Raises NotARun.

    `like`: take the samples of another setup instead of the run's own.
    """
    if not (folder / CONFIG).exists():
        raise NotARun(f"{folder}: no {CONFIG}; give the folder of a run made by `runvet-lab trajectories train`")
    config = configs.load(Config, [folder / CONFIG])
    vocabulary = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
    root = Path(config.data.root) if config.data.root else folder / "data"
    if like is None:
        found = {
            split: loading.disturbed(
                samples.read(root, split), config.data, training=split == "train", seed=config.seed
            )
            for split in ("train", "val")
        }
    else:
        found = like.found
    train, val = (loading.inputs(found[split], vocabulary) for split in ("train", "val"))
    keep = CheckpointManager(folder / CHECKPOINTS, best=(config.train.select, "down"))
    path = _chosen(keep, folder, checkpoint)
    state = keep.load(path)
    saved = state["extra"]["scale"]
    scale = loading.Scale(saved["mean"], saved["std"])
    model = build(config, len(vocabulary), scale, train)
    model.load_state_dict(state["model"])
    keep.close()
    return Setup(config, folder, train, val, found, scale, config.model.reach / scale.std, model), model


def _chosen(keep: CheckpointManager, folder: Path, checkpoint: str) -> Path:
    if checkpoint == "best":
        path = keep.best()
    elif checkpoint == "last":
        path = keep.latest()
    else:
        path = folder / CHECKPOINTS / f"step-{int(checkpoint):08d}"
    if path is None or not path.exists():
        raise NotARun(f"{folder / CHECKPOINTS}: no checkpoint {checkpoint!r}")
    return path
