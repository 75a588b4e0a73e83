"""Predictions in metres, and what is measured on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from runvet_lab.trajectories import metrics
from runvet_lab.trajectories.loading import Inputs
from runvet_lab.trajectories.setup import Setup


def predict(setup: Setup, model: Any, part: Inputs) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Paths (n, 45, 2) in metres."""
    model.eval()
    device = next(model.parameters()).device
    made = []
    with torch.no_grad():
        for begin in range(0, len(part), 256):
            few = part.take(torch.arange(begin, min(begin + 256, len(part)))).to(device)
            out = model.path(model(few.vehicle, few.roadside, few.words, few.past), setup.reach.to(device))
            made.append(out if setup.config.train.evaluate_normalised else setup.scale.undo(out))
    model.train()
    return torch.cat(made).float().cpu().numpy()


def judged(setup: Setup, predicted: np.ndarray[Any, Any], *, final: bool = False) -> dict[str, float]:
    """Metrics of the held-out samples under `val/`, with those of the baselines beside them; `final`: after training."""
    truth, speed = setup.val.paths.double().numpy(), setup.val.speed.double().numpy()
    training = setup.train.paths.double().numpy()
    out = {f"val/{name}": value for name, value in metrics.errors(predicted, truth).items()}
    if setup.config.train.mixed_name:
        out[setup.config.train.mixed_name] = out["val/l2_at_4.5s" if final else "val/l2_upto_4.5s"]
    out |= {f"val/{name}": value for name, value in metrics.spread(predicted, truth, training.mean(axis=0)).items()}
    simple = metrics.baselines(truth, speed, training)
    out |= {f"val/ade_{name}": metrics.errors(path, truth)["ade"] for name, path in simple.items()}
    out["val/skill_constant_velocity"] = 1 - out["val/ade"] / max(out["val/ade_constant_velocity"], 1e-9)
    return out
