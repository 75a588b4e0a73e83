"""Training: one loop for all recipes, on CPU, one GPU or many."""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runvet.checkpoints import CheckpointManager, save
from runvet_lab.base import config as configs
from runvet_lab.base.launch import fabric as launched
from runvet_lab.base.metrics import MetricLog
from runvet_lab.trajectories import loading, losses, metrics, samples, text
from runvet_lab.trajectories.config import Config
from runvet_lab.trajectories.loading import Inputs, Scale
from runvet_lab.trajectories.log import EpochLog
from runvet_lab.trajectories.model import Regressor, freeze, velocity_prior

CONFIG, CHECKPOINTS, VOCABULARY = "config.yaml", "checkpoints", "vocabulary.json"


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


def train(config: Config, folder: Path, *, resume: bool = False) -> dict[str, float]:
    """Train into a run folder; the last metrics. `resume` goes on from the newest checkpoint, exactly on a CPU."""
    fabric = launched(config.launch, config.seed)
    with fabric.rank_zero_first():  # that one generates the data and writes the configuration
        setup = prepare(config, folder)
    count = loading.batch_count(len(setup.train), config.train.batch_size, fabric.world_size)
    optimizer, schedule = _optimizer(config, setup.model, count * config.train.epochs)
    model, optimizer = fabric.setup(setup.model, optimizer)
    model.mark_forward_method("path")
    keep = CheckpointManager(
        folder / CHECKPOINTS, keep_last=3, best=(config.train.select, "down"), loader=count, config=str(config),
        handle_sigterm=True,
    )  # fmt: skip
    parts = {"model": setup.model, "optimizer": schedule.optimizer, "scheduler": schedule}  # without Fabric's wrappers
    state = keep.restore(**parts) if resume else {}
    first = int((state.get("extra") or {}).get("epoch", 0))
    found: dict[str, float] = {}
    best = float((state.get("extra") or {}).get("best", math.inf))
    teacher = _teacher(config, setup)
    with ExitStack() as files:
        log = files.enter_context(MetricLog(folder)) if fabric.is_global_zero else None
        said = files.enter_context(EpochLog(folder, config, setup.found)) if fabric.is_global_zero else None
        for epoch in range(first, config.train.epochs):
            begun, step = time.perf_counter(), (epoch + 1) * count
            loss = _epoch(fabric, setup, model, optimizer, schedule, epoch, teacher)
            predicted = predict(setup, model, setup.val)
            found = judged(setup, predicted)
            rates = {"lr": optimizer.param_groups[-1]["lr"], "lr_backbone": optimizer.param_groups[0]["lr"]}
            numbers = {"train/loss": loss, **found, **rates, "epoch_time": time.perf_counter() - begun}
            if log is not None and said is not None:
                log.write(step, numbers, epoch=epoch + 1)
                said.write(epoch, loss, found, rates, predicted, setup.val.paths)
                chosen = found[config.train.select]
                if epoch == 0 if config.train.best_is_first else chosen < best:
                    said.best(config.train.select, chosen)
                    best = chosen
                if config.train.best_is_first and epoch == 0:
                    save(folder / CHECKPOINTS / "best.pt", model=setup.model, step=step, epoch=1, metrics=found)
            if (epoch + 1) % config.train.save_every == 0 or epoch + 1 == config.train.epochs:
                scaling = {"mean": setup.scale.mean, "std": setup.scale.std}
                stop = keep.after_step(
                    step, save=True, **parts, epoch=epoch + 1, metrics={config.train.select: found[config.train.select]},
                    extra={"epoch": epoch + 1, "scale": scaling, "best": best},
                )  # fmt: skip
                if stop:
                    break
    keep.close()
    return found


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


def _epoch(
    fabric: Any, setup: Setup, model: Any, optimizer: Any, schedule: Any, epoch: int, teacher: Tensor | None
) -> float:
    """One pass over the training samples; the mean loss."""
    config, total, count = setup.config, 0.0, 0
    order = loading.batches(
        len(setup.train), config.train.batch_size, seed=config.seed, epoch=epoch, rank=fabric.global_rank,
        world_size=fabric.world_size,
    )  # fmt: skip
    for rows in order:
        few = setup.train.take(rows).to(fabric.device)
        out = model(few.vehicle, few.roadside, few.words, few.past)
        loss = _loss(setup, out, few.paths)
        if teacher is not None:
            weight = config.train.distil_weight
            loss = (1 - weight) * loss + weight * _loss(setup, out, teacher[rows].to(fabric.device))
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        schedule.step()
        total, count = total + float(loss.detach()), count + 1
    mean = torch.tensor(total / count, device=fabric.device)
    return float(fabric.all_reduce(mean, reduce_op="mean"))


def _loss(setup: Setup, out: Tensor, paths: Tensor) -> Tensor:
    truth = setup.scale.apply(paths)
    if setup.config.model.head == "tokens":
        return losses.token_loss(out, truth, setup.reach.to(out.device))
    return losses.path_loss(out, truth, setup.config.train)


def _optimizer(config: Config, model: Regressor, steps: int) -> tuple[Any, Any]:
    """AdamW with two groups (picture encoders, the rest) and a cosine to zero over the whole training."""
    inner = {id(parameter) for parameter in model.backbone.parameters()}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in inner]
    groups = [
        {"params": list(model.backbone.parameters()), "lr": config.train.backbone_lr or config.train.lr},
        {"params": rest, "lr": config.train.lr},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=config.train.weight_decay)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))
    )


def _teacher(config: Config, setup: Setup) -> Tensor | None:
    """The predictions of another run for the training samples (n, 45, 2), where one is to be learnt from."""
    if not config.train.distil_from:
        return None
    from runvet_lab.trajectories.evaluate import load

    other, model = load(Path(config.train.distil_from), like=setup)
    return torch.from_numpy(predict(other, model, other.train))
