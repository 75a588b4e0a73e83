"""Evaluation of a run: predictions beside truth as a file, and metrics beside baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runvet_lab.trajectories import metrics
from runvet_lab.trajectories.judging import judged, predict
from runvet_lab.trajectories.setup import Setup, load

INPUTS = {"vehicle": "vehicle", "roadside": "roadside", "text": "words", "past": "past"}


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
