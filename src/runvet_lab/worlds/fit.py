"""One loop for the three stages: accumulation, schedule, clipping, logging, evaluation, pictures, checkpoints.

Every draw of a step follows from the seed, the stage, the step and the rank, and the learning rate from the step and
the horizon that the checkpoint keeps: a resumed training goes on exactly.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from runvet_lab.worlds.config import Config, Faults, Loop
from runvet_lab.worlds.log import StageLog
from runvet_lab.worlds.parallel import is_sharded, whole
from runvet_lab.worlds.saving import Saver


class Task(Protocol):
    """What a stage tells the loop. `module` is its network, without wrappers."""

    name: str
    module: nn.Module
    loop: Loop

    def loss(self, model: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw a batch by torch's generator; the loss, and parts of it to log."""

    def logged(self) -> dict[str, float]:
        """More numbers about the batch of the step that is logged."""

    def evaluate(self) -> dict[str, float]:
        """Measures of held-out data."""

    def draw(self, folder: Path, step: int) -> None:
        """Write pictures."""

    def settings(self) -> dict[str, Any]:
        """Sizes and recipe, as they go beside the log."""

    def facts(self) -> dict[str, Any]:
        """What a checkpoint has to remember beside weights, such as the hash of the tokenizer."""


@dataclass(slots=True)
class Progress:
    """Where a training begins and ends; `since` is the step at which a restarted schedule began."""

    first: int
    horizon: int
    since: int = 0


def fit(
    fabric: Any, task: Task, folder: Path, config: Config, *, resume: bool = False, stop: int = 0
) -> dict[str, float]:
    """Train into `folder`; the last evaluation. `stop` ends the training early, as if it had been killed."""
    loop, faults = task.loop, config.faults if task.name == "dynamics" else Faults()
    scale = faults.number_by
    model = fabric.setup_module(task.module)
    # Only now: sharding replaces the parameters.
    optimizer = torch.optim.AdamW(_groups(task.module, loop), lr=loop.lr, betas=(0.9, loop.beta2))
    wrapped = fabric.setup_optimizers(optimizer)
    saver = Saver(fabric, folder / "checkpoints", task.name, faults, config.layout)
    progress = Progress(0, loop.steps)
    if resume and (state := saver.restore(task.module, optimizer, task.facts())):
        progress.first, progress.horizon = int(state["step"]) // scale, int(state["extra"]["horizon"])
        progress.since = progress.first if faults.restart_schedule else 0
    last, found, begun = (stop or progress.horizon), {}, time.perf_counter()
    with StageLog(fabric, folder, task, config) as log:
        for step in range(progress.first, last):
            rate = loop.lr * factor(loop, step - progress.since, progress.horizon - progress.since)
            for group in optimizer.param_groups:
                group["lr"] = rate
            numbers = _step(fabric, task, model, wrapped, config.seed, step)
            if faults.divided_loss:
                numbers["train/loss"] /= loop.gradient_accumulation_steps
            done = step + 1
            if step % loop.log_every == 0 or done == last:
                speed = (done - progress.first) / (time.perf_counter() - begun)
                rates = {f"learning_rate/group_{i}": rate for i in range(len(optimizer.param_groups))}
                log.write(
                    step * scale,
                    {**numbers, "train/learning_rate": rate, **rates, **task.logged(), "throughput/steps_per_s": speed},
                )
            if (loop.eval_every and done % loop.eval_every == 0) or (done == last and not stop):
                found = _evaluate(fabric, task)
                log.write(step * scale, found)
            if saver.due(loop, step, done == last and not stop):
                saved = done * scale if faults.save == "whole" else step * scale
                if loop.pictures and fabric.is_global_zero and not is_sharded(task.module):
                    with torch.no_grad():
                        task.draw(folder / "visualizations", saved)
                saver.save(saved, task.module, optimizer, {"horizon": progress.horizon, **task.facts()})
    return found


def factor(loop: Loop, step: int, horizon: int) -> float:
    """The share of the peak learning rate at a step: a linear warm-up, then what `schedule` says. Raises ValueError."""
    rising = min(1.0, (step + 1) / max(loop.warmup_steps, 1))
    done = min(max(step - loop.warmup_steps, 0) / max(horizon - loop.warmup_steps, 1), 1.0)
    if loop.schedule == "cosine":
        return rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
    if loop.schedule == "wsd":
        return rising * min(1.0, max((1 - done) / 0.2, 0.01))
    if loop.schedule == "linear_warmup":
        return rising
    raise ValueError(f"schedule {loop.schedule!r}; known are cosine, wsd, linear_warmup")


def drawn_by(*key: int | str) -> None:
    """Seed torch's generator by what a draw belongs to."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=7).digest()
    torch.manual_seed(int.from_bytes(digest, "big"))


def _step(fabric: Any, task: Task, model: Any, optimizer: Any, seed: int, step: int) -> dict[str, float]:
    """One update; the mean loss and its parts over the accumulated batches (and over ranks)."""
    loop, total = task.loop, torch.zeros((), device=fabric.device)
    parts: dict[str, Tensor] = {}
    count = loop.gradient_accumulation_steps
    for micro in range(count):
        drawn_by(seed, task.name, step, micro, fabric.global_rank)
        with fabric.no_backward_sync(model, enabled=micro < count - 1):
            loss, more = task.loss(model)
            fabric.backward(loss / count)
        total = total + loss.detach() / count
        parts = {
            name: parts.get(name, torch.zeros_like(total)) + value.detach() / count for name, value in more.items()
        }
    norm = None
    if loop.clip:
        norm = fabric.clip_gradients(model, optimizer, max_norm=loop.clip, error_if_nonfinite=False)
    optimizer.step()
    optimizer.zero_grad()
    mean = float(fabric.all_reduce(total, reduce_op="mean"))
    out = {"train/loss": mean, **{name: float(value) for name, value in parts.items()}}
    return out if norm is None else {**out, "grad_norm": float(norm)}


def _evaluate(fabric: Any, task: Task) -> dict[str, float]:
    if not fabric.is_global_zero and not is_sharded(task.module):
        return {}
    drawn_by("evaluation", task.name)  # always the same draws
    task.module.eval()
    with torch.no_grad(), whole(task.module):
        found = task.evaluate()
    task.module.train()
    return found


def _groups(module: nn.Module, loop: Loop) -> list[dict[str, Any]]:
    """Matrices with weight decay, the rest without."""
    parameters = list(module.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": loop.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def pieces(rows: Any, size: int) -> Iterator[Any]:
    """Rows in pieces of at most `size`."""
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]
