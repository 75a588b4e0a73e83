"""Training: one loop for all recipes, on CPU, one GPU or many."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runvet.checkpoints import CheckpointManager, save
from runvet_lab.base.launch import fabric as launched
from runvet_lab.base.metrics import MetricLog
from runvet_lab.trajectories import loading, losses
from runvet_lab.trajectories.config import Config
from runvet_lab.trajectories.judging import judged, predict
from runvet_lab.trajectories.log import EpochLog
from runvet_lab.trajectories.model import Regressor
from runvet_lab.trajectories.setup import CHECKPOINTS, Setup, load, prepare


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
    other, model = load(Path(config.train.distil_from), like=setup)
    return torch.from_numpy(predict(other, model, other.train))
