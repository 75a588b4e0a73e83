"""Evaluation of a run: predictions beside truth as a file, and metrics beside baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runvet.checkpoints import CheckpointManager
from runvet_lab.base import config as configs
from runvet_lab.trajectories import loading, metrics, samples
from runvet_lab.trajectories.config import Config
from runvet_lab.trajectories.train import CHECKPOINTS, CONFIG, VOCABULARY, Setup, build, judged, predict

INPUTS = {"vehicle": "vehicle", "roadside": "roadside", "text": "words", "past": "past"}


class NotARun(ValueError):
    """A folder that is no run of this lab; the message says what is missing."""


def load(folder: Path, *, checkpoint: str = "best", like: Setup | None = None) -> tuple[Setup, Any]:
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


def evaluate(folder: Path, *, checkpoint: str = "best") -> dict[str, float]:
    """Write `predictions.npz` and `metrics.json` into the run folder; the metrics."""
    setup, model = load(folder, checkpoint=checkpoint)
    predicted = predict(setup, model, setup.val)
    held = setup.found["val"]
    simple = metrics.baselines(*(t.double().numpy() for t in (setup.val.paths, setup.val.speed, setup.train.paths)))
    others = shuffled(setup, model)
    np.savez_compressed(
        folder / "predictions.npz",
        pred=predicted,
        gt=held.paths,
        constant_velocity=np.asarray(simple["constant_velocity"], np.float32),
        speed=held.speed,
        id=np.array(held.ids),
        recording=np.array(held.recording),
        **others,
    )
    found = judged(setup, predicted, final=True)
    for name, path in others.items():
        found[f"val/ade_{name}"] = metrics.errors(path.astype(float), held.paths.astype(float))["ade"]
    content = {
        "checkpoint": checkpoint,
        "samples": len(held),
        "unit": "m",
        **{k: round(v, 6) for k, v in found.items()},
    }
    (folder / "metrics.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return found


def shuffled(setup: Setup, model: Any, seed: int = 0) -> dict[str, Any]:
    """Predictions (n, 45, 2) where one input is that of another sample: what changes nothing is not used."""
    order = torch.randperm(len(setup.val), generator=torch.Generator().manual_seed(seed))
    return {
        f"shuffled_{name}": predict(setup, model, replace(setup.val, **{part: getattr(setup.val, part)[order]}))
        for name, part in INPUTS.items()
    }


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
