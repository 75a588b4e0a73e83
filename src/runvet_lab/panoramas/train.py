"""Training: one loop for all recipes, on CPU, one GPU or many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from runvet.checkpoints import CheckpointManager
from runvet_lab.base import config as configs
from runvet_lab.base.launch import fabric as launched
from runvet_lab.base.metrics import MetricLog
from runvet_lab.panoramas import data, loading, losses, metrics, provenance
from runvet_lab.panoramas.config import Config
from runvet_lab.panoramas.loading import Held
from runvet_lab.panoramas.log import Meters, TextLog
from runvet_lab.panoramas.model import Panoramas
from runvet_lab.panoramas.predict import predicted, truth_of
from runvet_lab.panoramas.sampler import Plan, seam

CONFIG, CHECKPOINTS, LOG = "config.yaml", "checkpoints", "train.log"
FIXED_COMPASS = 1_000_003  # seed of held-out compasses, the same in every epoch
# Names of the parts as MapAnything's log has them.
TEXT = {"depth": "GeometryLoss_depth_along_ray_avg", "scale": "GeometryLoss_scale_avg",
        "trans": "GeometryLoss_pose_trans_avg", "rot": "GeometryLoss_pose_quats_avg",
        "mask": "NonAmbiguousMaskLoss_mask_avg"}  # fmt: skip
ROW = {
    "depth": "depth_loss",
    "scale": "scale_loss",
    "trans": "pose_trans_loss",
    "rot": "pose_rot_loss",
    "mask": "mask_loss",
}


# What can be known of a town that was never seen; its places can't, and their error stands in its summary only.
TRANSFERS = ("depth", "scale", "mask", "rot", "pose_rot")


class WorldChanged(ValueError):
    """The run was begun with another world size, and nothing says what that should mean."""


@dataclass(slots=True)
class Setup:
    """Everything that a training needs, before its first step. `held` by split."""

    config: Config
    folder: Path
    held: dict[str, Held]
    prior: metrics.Prior
    model: Panoramas


def prepare(config: Config, folder: Path) -> Setup:
    """Read or generate the data and build the network. Raises DataProblem, ValueError, MissingExtra."""
    folder.mkdir(parents=True, exist_ok=True)
    found = data.splits(config, folder)
    held = {
        name: loading.held(views, config.train.views if name == "train" else config.train.val_views, config.seed)
        for name, views in found.items()
    }
    if config.data.pairs:
        held["train"] = replace(held["train"], rows=held["train"].rows[: config.data.pairs])
    prior = metrics.prior(truth_of(held["train"]), config.train.compass_noise)
    torch.manual_seed(config.seed)
    rows, columns = held["train"].colour.shape[1:3]
    return Setup(config, folder, held, prior, Panoramas(config.model, rows, columns))


def train(config: Config, folder: Path, *, resume: bool = False) -> dict[str, float]:
    """Train into a run folder; the last metrics. `resume` goes on from the newest checkpoint.

    Raises WorldChanged where it was written by another number of ranks and `train.on_world_change` is `refuse`.
    """
    fabric = launched(config.launch, config.seed)
    first = fabric.is_global_zero
    world = config.train.world_size_sim or fabric.world_size
    if first:
        folder.mkdir(parents=True, exist_ok=True)
        provenance.environment(folder, config, world)
    with TextLog(folder / LOG, active=first) as text:
        text.say(
            f"| distributed init (world_size: {world}): {'simulated' if config.train.world_size_sim else 'env://'}"
        )
        text.say(f"job dir: {folder.resolve()}  cwd: {Path.cwd()}")
        if first:
            data.splits(config, folder)  # one rank makes the files, the others read them
        fabric.barrier()
        return _trained(fabric, prepare(config, folder), world, text, resume=resume)


def _trained(fabric: Any, setup: Setup, world: int, text: TextLog, *, resume: bool) -> dict[str, float]:
    config, folder = setup.config, setup.folder
    plan = Plan(
        len(setup.held["train"]), config.train.batch_size, world, config.train.epochs, config.train.steps_per_epoch
    )
    parameters = [p for p in setup.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.train.lr, weight_decay=config.train.weight_decay)
    model, wrapped = fabric.setup(setup.model, optimizer)
    keep = CheckpointManager(
        folder / CHECKPOINTS, keep_last=3, best=("val/loss", "down"), loader=plan.steps,
        config=provenance.config_hash(config), handle_sigterm=True,
    )  # fmt: skip
    state = keep.restore(model=setup.model, optimizer=optimizer) if resume else {}
    extra: Mapping[str, Any] = state.get("extra") or {}
    if state:
        text.say(f"Resume checkpoint {keep.latest()}")
        plan = _planned(plan, extra, config, text)
        text.say(f"With optim & sched! start_epoch={extra['epoch']}")
    if fabric.is_global_zero:
        configs.save(config, folder / CONFIG)
    _say_data(setup, plan, text)
    step, seen = int(extra.get("step", 0)), int(extra.get("samples_seen", 0))
    best, found = math.inf, dict[str, float]()
    with MetricLog(folder, formats=tuple(config.train.log_formats) if fabric.is_global_zero else ("jsonl",),
                   name="metrics.jsonl" if fabric.is_global_zero else f"metrics_rank{fabric.global_rank}.jsonl") as log:  # fmt: skip
        for epoch in range(int(extra.get("epoch", 0)), plan.epochs):
            step = _epoch(fabric, setup, model, wrapped, plan, epoch, step, text, log)
            seen += plan.steps * plan.seen
            found = _held_out(setup, model, epoch, step, text, log)
            if found["val/selected"] < best:
                best = found["val/selected"]
                text.say(f"New best model: epoch {epoch + 1}, best_so_far={best:.4f} ({config.train.select_by})")
            if (epoch + 1) % config.train.save_every == 0 or epoch + 1 in (plan.epochs, config.train.stop_after):
                facts = {"epoch": epoch + 1, "step": step, "world_size": plan.world_size, "loader_length": plan.steps,
                         "samples": plan.samples, "batch": plan.batch, "samples_seen": seen,
                         "config_hash": provenance.config_hash(config)}  # fmt: skip
                stop = keep.after_step(
                    step, save=True, model=setup.model, optimizer=optimizer, epoch=epoch + 1,
                    metrics={"val/loss": found["val/selected"]}, extra=facts,
                )  # fmt: skip
                text.say(f">> Saving model to {folder / CHECKPOINTS / f'step-{step:08d}'} ...")
                if stop:
                    break
            if config.train.stop_after and epoch + 1 == config.train.stop_after:
                break
    keep.close()
    return found


def _planned(plan: Plan, extra: Mapping[str, Any], config: Config, text: TextLog) -> Plan:
    """What to do where the checkpoint was written under another plan."""
    fixed = int(extra["loader_length"]) if config.train.steps_per_epoch else 0
    before = Plan(int(extra["samples"]), int(extra["batch"]), int(extra["world_size"]), plan.epochs, fixed)
    changed = seam(before, plan)
    if not changed or config.train.on_world_change == "ignore":
        return plan
    if config.train.on_world_change == "replan":
        made = replace(plan, fixed=before.steps)
        text.say(f"Replanned: {seam(before, made) or 'nothing changes'}; steps of an epoch are kept")
        return made
    raise WorldChanged(
        f"the checkpoint was written under another plan: {changed}. Resume on {before.world_size} ranks, or set "
        "train.on_world_change=replan, which keeps the steps of an epoch and with them the schedule"
    )


def rate(config: Config, done: float) -> float:
    """The learning rate where a share `done` of the training is done: linear warm-up, then a cosine to zero."""
    warm = min(1.0, done / config.train.warmup) if config.train.warmup > 0 else 1.0
    return config.train.lr * max(warm, 1e-3) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _epoch(
    fabric: Any,
    setup: Setup,
    model: Any,
    optimizer: Any,
    plan: Plan,
    epoch: int,
    step: int,
    text: TextLog,
    log: MetricLog,
) -> int:
    """One pass; the global step after it."""
    config, split = setup.config, setup.held["train"]
    meters = Meters(text, f"Epoch: [{epoch}]", plan.steps, config.train.print_every)
    for number, which in enumerate(plan.batches(fabric.global_rank, epoch, config.seed)):
        at = epoch + number / plan.steps
        done = at / plan.epochs if config.train.schedule_by == "epoch" else step / plan.total
        lr = rate(config, done)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = loading.batch(split, which, noise=config.train.compass_noise, seed=epoch + 1, device=fabric.device)
        out = model(batch.pictures, batch.compass)
        parts = losses.components(out, batch.truth, config)
        total = losses.total(parts, out, batch.truth, config, training=True)
        optimizer.zero_grad()
        fabric.backward(total)
        norm = fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
        step += 1
        told = {"loss": float(total.detach()), **{name: float(part.detach()) for name, part in parts.items()}}
        means = {
            "pred_mask_mean": float(out.mask.detach().sigmoid().mean()),
            "gt_mask_mean": float(batch.truth.mask.float().mean()),
            "depth_fill": float(batch.truth.known.float().mean()),
        }
        shown = {"epoch": at, "loss": told["loss"], **{TEXT[name]: told[name] for name in parts}, **means}
        if meters.add(number, shown, lr):
            row = {"train/loss": told["loss"], **{f"train/{ROW[name]}": told[name] for name in parts}, "lr": lr,
                   "grad_norm": float(norm), **{f"train/{name}": value for name, value in means.items()}}  # fmt: skip
            log.write(step, row, epoch=round(at, 4), loader_length=plan.steps)  # type: ignore[arg-type]
    meters.close()
    return step


def _held_out(setup: Setup, model: Any, epoch: int, step: int, text: TextLog, log: MetricLog) -> dict[str, float]:
    """Losses and metrics of every held-out split, under `val/` and `newtown/`."""
    config = setup.config
    row: dict[str, float] = {}
    for name in [split for split in setup.held if split != "train"]:
        split = setup.held[name]
        result = predicted(model, split, config, seed=FIXED_COMPASS)
        means = {part: fmean(batch[part] for batch in result.losses) for part in result.losses[0]}
        if name == "val":  # one loader, one curve: the log's format has no name for a second one
            meters = Meters(text, f"Test Epoch: [{epoch}]", len(result.losses), config.train.print_every, whole=True)
            for number, parts in enumerate(result.losses):
                meters.add(number, {"loss": parts["loss"], **{TEXT[part]: parts[part] for part in TEXT}})
            meters.close()
            middle = median(batch["loss"] for batch in result.losses)
            row["val/selected"] = means["loss"] if config.train.select_by == "mean" else middle
        numbers = metrics.errors(result.got, result.truth, setup.prior)
        told = {**{key: value for key, value in numbers.items() if "_baseline" not in key}, "loss": means["loss"]}
        told |= {ROW[part]: means[part] for part in TEXT}
        row |= {f"{name}/{key}": value for key, value in told.items() if name == "val" or key.startswith(TRANSFERS)}
    log.write(step, {name: value for name, value in row.items() if name != "val/selected"}, epoch=epoch + 1)
    return row


def _say_data(setup: Setup, plan: Plan, text: TextLog) -> None:
    """What is trained on, and what predictors reach that look at nothing."""
    for name, split in setup.held.items():
        rows, columns = split.colour.shape[1:3]
        of = split.mask.float().mean((1, 2))
        text.say(
            f"split={name} views={split.rows.shape[1]} samples={len(split)} camera_model=cyl panorama={columns}x{rows} "
            f"mask_share=[{float(of.min()):.3f}, {float(of.max()):.3f}] depth_fill={float((split.depth > 0).float().mean()):.3f}"
        )
    held = truth_of(setup.held.get("val", setup.held["train"]))
    zero = metrics.errors(held, held, setup.prior)
    words = ", ".join(f"{key} {value:.4g}" for key, value in zero.items() if "baseline" in key or "constant" in key)
    text.say(f"What predictors without pictures reach: {words}")
    text.say(f"Train dataset length: {plan.steps}")
    text.say(f"Optimiser steps of the whole schedule: {plan.total}, samples a step: {plan.seen}")
    text.say(f"Start training for {plan.epochs} epochs")
