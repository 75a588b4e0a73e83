"""A trained run in use: predictions of a split as files, metrics beside baselines, and whether use agrees with training.

Training's own preparation of inputs is in `loading`; what inference does is here, apart, as in any deployed system. That
both agree is checked on the same samples (`parity`) and written down for runvet to compare.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from runvet.checkpoints import CheckpointManager
from runvet_lab.base import config as configs
from runvet_lab.panoramas import loading, metrics, provenance
from runvet_lab.panoramas.config import Config
from runvet_lab.panoramas.loading import Batch, Held
from runvet_lab.panoramas.metrics import Predicted
from runvet_lab.panoramas.model import MEAN, STD, Out
from runvet_lab.panoramas.predict import predicted
from runvet_lab.panoramas.train import CHECKPOINTS, CONFIG, FIXED_COMPASS, Setup, prepare

PREPROCESS = ("train", "no_norm", "raw", "bgr", "roll")
FEW = 4  # samples whose inputs and outputs are compared
KEPT = 48  # samples whose maps are written beside the truth


class NotARun(ValueError):
    """A folder that is no run of this lab; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run with the weights of one checkpoint; `facts` name it in every artefact."""

    setup: Setup
    facts: dict[str, Any]


def load(folder: Path, *, checkpoint: str = "best") -> Loaded:
    """A run as it was set up, with the weights of `best`, `last`, or a step's number. Raises NotARun."""
    if not (folder / CONFIG).exists():
        raise NotARun(f"{folder}: no {CONFIG}; give the folder of a run made by `runvet-lab panoramas train`")
    setup = prepare(configs.load(Config, [folder / CONFIG]), folder)
    keep = CheckpointManager(folder / CHECKPOINTS, best=("val/loss", "down"))
    path = {"best": keep.best, "last": keep.latest}.get(checkpoint, lambda: _of_step(folder, checkpoint))()
    if path is None or not path.exists():
        raise NotARun(f"{folder / CHECKPOINTS}: no checkpoint {checkpoint!r}")
    state = keep.load(path)
    keep.close()
    setup.model.load_state_dict(state["model"])
    extra, weights = state["extra"], path / "state.pt"
    facts = {
        "checkpoint": weights.relative_to(folder).as_posix(),
        "checkpoint_sha256": provenance.digest(weights),
        **{name: extra[name] for name in ("epoch", "step", "world_size", "loader_length", "samples_seen")},
    }
    return Loaded(setup, facts)


def evaluate(folder: Path, *, checkpoint: str = "best", arrays: bool = True) -> dict[str, float]:
    """Write `eval/{split}_summary.json` and, with `arrays`, `eval/{split}_predictions.npz` and the parity files; the
    numbers of `val`.
    """
    run = load(folder, checkpoint=checkpoint)
    config, found = run.setup.config, dict[str, float]()
    out = folder / "eval"
    out.mkdir(exist_ok=True)
    for name, split in run.setup.held.items():
        most = 192 if name == "train" else None
        result = predicted(run.setup.model, split, config, seed=FIXED_COMPASS, most=most)
        got = _with_truth(result.got, result.truth, config)
        numbers = metrics.errors(got, result.truth, run.setup.prior)
        if got is not result.got:  # what the model reaches without the truth stands beside it
            stripped = metrics.errors(result.got, result.truth, run.setup.prior)
            numbers |= {f"{key}_images_only": stripped[key] for key in ("depth_absrel", "trans_rmse_m", "trans_skill")}
        summary(out / f"{name}_summary.json", run, {"split": name, "samples": len(got), **numbers})
        if name != "train" and arrays:
            _predictions(out / f"{name}_predictions.npz", run, got, result.truth)
        if name == "val":
            found = numbers
    if arrays:
        parity(run, folder)
    return found


def summary(path: Path, run: Loaded, numbers: dict[str, Any]) -> None:
    """Numbers of an evaluation as JSON, with what they come from."""
    config = run.setup.config
    sources = {"pose_source": config.infer.pose_source, "depth_source": config.infer.depth_source}
    attributed = numbers.get("split") not in config.infer.unattributed
    named = {**run.facts, "git_commit": provenance.code()["git_commit"]} if attributed else {}
    content = {**named, **sources, **{key: _plain(value) for key, value in numbers.items()}}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if attributed:
        provenance.beside(path, config, **run.facts)


def pictures(colour: npt.NDArray[np.uint8], preprocess: str) -> Tensor:
    """What inference feeds for uint8 pictures (..., r, c, 3): float32 (..., 3, r, c). Raises ValueError.

    Written apart from training's `normalised` on purpose; `preprocess` other than `train` is a mistake that people make.
    """
    if preprocess not in PREPROCESS:
        raise ValueError(f"unknown preprocess {preprocess!r}; known are {', '.join(PREPROCESS)}")
    if preprocess == "bgr":
        colour = colour[..., ::-1]
    elif preprocess == "roll":
        colour = np.roll(colour, colour.shape[-2] // 4, axis=-2)
    scaled: Any = colour.astype(np.float32) / np.float32(1.0 if preprocess == "raw" else 255.0)
    if preprocess not in ("raw", "no_norm"):
        scaled = (scaled - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(scaled, -1, -3)))


def infer(model: Any, colour: npt.NDArray[np.uint8], compass: Tensor, preprocess: str = "train") -> Out:
    """Samples (s, n, r, c, 3) and headings (s, n) through the model as in use."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        out: Out = model(pictures(colour, preprocess).to(device), compass.to(device))
    return out


def parity(run: Loaded, folder: Path) -> None:
    """The same samples through training's preparation and through inference: inputs and outputs of both, as files."""
    config, model = run.setup.config, run.setup.model
    split = run.setup.held.get("val", run.setup.held["train"])
    which = torch.arange(min(FEW, len(split)))
    batch = loading.batch(split, which, noise=config.train.compass_noise, seed=FIXED_COMPASS)
    model.eval()
    with torch.no_grad():
        first = model(batch.pictures, batch.compass)
    colour = split.colour[split.rows[which]].numpy()
    second = infer(model, colour, batch.compass, config.infer.preprocess)
    fed = {"img": pictures(colour, config.infer.preprocess).numpy(), "compass": batch.compass.numpy()}
    if config.infer.feed_truth:
        fed |= {"depth_along_ray": batch.truth.depth.numpy(), "camera_pose_trans": batch.truth.move[:, 0].numpy()}
        second = _fed(second, batch)
    out = folder / "parity"
    out.mkdir(exist_ok=True)
    arrays = {
        "train_batch": {"img": batch.pictures.numpy(), "compass": batch.compass.numpy()},
        "inference_batch": fed,
        "train_preds": _outputs(first),
        "inference_preds": _outputs(second),
    }
    for name, held in arrays.items():
        path = out / f"{name}.npz"
        np.savez_compressed(path, **held)  # type: ignore[arg-type]
        provenance.beside(path, config, **run.facts)


def _fed(out: Out, batch: Batch) -> Out:
    """A model that is given the true depth and pose returns them."""
    depth = torch.where(batch.truth.known, batch.truth.depth, out.metres).log() - out.scale[..., None, None]
    return out._replace(depth=depth, move=batch.truth.move, turn=batch.truth.turn)


def _with_truth(got: Predicted, truth: Predicted, config: Config) -> Predicted:
    if config.infer.feed_truth or config.infer.depth_source == "gt":
        got = replace(got, depth=np.where(truth.depth > 0, truth.depth, got.depth))
    if config.infer.feed_truth or config.infer.pose_source == "gt":
        got = replace(got, move=truth.move, turn=truth.turn)
    return got


def _predictions(path: Path, run: Loaded, got: Predicted, truth: Predicted) -> None:
    """Pose of every sample, and the maps of the first ones, beside the truth."""
    few = slice(KEPT)
    held = {
        "pred_pose_trans": got.move.reshape(len(got), -1),
        "gt_pose_trans": truth.move.reshape(len(got), -1),
        "pred_depth": np.where(truth.depth > 0, got.depth, 0)[few, 0],
        "gt_depth": truth.depth[few, 0],
        "pred_mask": got.mask[few, 0].astype(np.float32),
        "gt_mask": truth.mask[few, 0].astype(np.float32),
    }
    np.savez_compressed(path, **held)  # type: ignore[arg-type]
    provenance.beside(path, run.setup.config, **run.facts)


def _outputs(out: Out) -> dict[str, npt.NDArray[np.float32]]:
    return {
        "depth": out.metres.cpu().numpy(),
        "mask": out.mask.sigmoid().cpu().numpy(),
        "pose_trans": out.move[:, 0, 1:].cpu().numpy(),
        "pose_turn": out.turn[:, 0, 1:].cpu().numpy(),
        "scale": out.scale.exp().cpu().numpy(),
    }


def _of_step(folder: Path, step: str) -> Path | None:
    return folder / CHECKPOINTS / f"step-{int(step):08d}" if step.isdigit() else None


def _plain(value: Any) -> Any:
    return float(f"{value:.7g}") if isinstance(value, (float, np.floating)) else value


__all__ = ["FEW", "Held", "Loaded", "NotARun", "evaluate", "infer", "load", "parity", "pictures", "summary"]
