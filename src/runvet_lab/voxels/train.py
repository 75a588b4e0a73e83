"""Training: one configuration on a CPU, a GPU or many, and a run folder that holds all that is needed to judge it.

All chance is a function of the seed, the step and the rank: batches, noise and dropped prompts. A run that is stopped and
resumed goes on bit by bit as if it had not been (same device, same number of ranks).
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from runvet.checkpoints import CheckpointManager
from runvet_lab.base.launch import Launch, fabric
from runvet_lab.base.metrics import MetricLog
from runvet_lab.voxels import data as structures
from runvet_lab.voxels import metrics, run_folder, sampling, tokens
from runvet_lab.voxels.config import Config
from runvet_lab.voxels.model import Average, Model, evaluating, process

Say = Callable[[str], Any]
NUMBERS = 5  # accuracies are taken every so many steps: they cost a tenth of a step
LARGE = 2**62  # seeds of generators stay below


@dataclass(frozen=True, slots=True)
class Result:
    """How a training ended."""

    step: int
    quality: tuple[metrics.Quality, ...]
    seconds: float
    stopped: str  # "", "patience" or "signal"


def precision(launch: Launch) -> str:
    """`auto` becomes bf16-mixed where the device computes in it, else 32-true."""
    if launch.precision != "auto":
        return launch.precision
    if launch.accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    fast = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


def learning_rate(step: int, config: Config) -> float:
    """The rate of step `step` (from 1): a linear warm-up, then half a cosine down to the final rate."""
    train = config.train
    if step <= train.warmup_steps:
        return train.learning_rate * step / train.warmup_steps
    share = (step - train.warmup_steps) / max(1, train.max_steps - train.warmup_steps)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
    return train.final_learning_rate + (train.learning_rate - train.final_learning_rate) * fall


class Means:
    """Means of numbers over the steps since the last row, kept on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, list[torch.Tensor]] = {}
        self._since = time.perf_counter()

    def add(self, numbers: dict[str, torch.Tensor]) -> None:
        """The numbers of one step."""
        for name, value in numbers.items():
            self._sums.setdefault(name, []).append(value)

    def taken(self) -> dict[str, float]:
        """Means and seconds a step; counting begins anew."""
        count = max(1, max(map(len, self._sums.values()), default=1))
        means = {name: float(torch.stack(many).mean()) for name, many in self._sums.items()}
        means["step_seconds"] = (time.perf_counter() - self._since) / count
        self._sums = {}
        self.restart()
        return means

    def restart(self) -> None:
        """Leave the time until now out."""
        self._since = time.perf_counter()


class Trainer:
    """A training that can be run to its end. Raises DataProblem, ValueError for what does not fit together."""

    def __init__(self, config: Config, folder: Path, say: Say = print) -> None:
        config.launch.precision = precision(config.launch)
        self.config, self.folder, self.say = config, folder, say
        self.fabric = fabric(config.launch, config.train.seed)
        train, held = structures.splits(
            config.data.folder, config.train.air_id if not config.data.verify else None, verify=config.data.verify
        )
        if config.data.limit:
            train = train.take(range(min(config.data.limit, len(train))))
        self.data, self.held = train, held
        self.vocabulary = tokens.of(np.concatenate([train.grids, held.grids]), train.air)
        self.tokens = torch.from_numpy(self.vocabulary.tokens(train.grids))
        self.reference = metrics.Reference(train, held, seed=config.train.seed)
        self.batch = max(1, config.train.batch_size // self.fabric.world_size)
        self.epoch_steps = max(1, len(train) // (self.batch * self.fabric.world_size))
        if config.train.num_epochs:
            config.train.max_steps = config.train.num_epochs * self.epoch_steps
        device = self.fabric.device
        self.process = process(config, self.vocabulary, device)
        model = Model(config, self.process, self.vocabulary.size)
        self.average = Average(model, config.train.ema_decay).to(device)
        decayed = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": config.train.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups, lr=config.train.learning_rate, betas=(0.9, 0.99), fused=device.type in ("cpu", "cuda")
        )
        self.raw = model
        if config.launch.compile:
            for part in (model.net, model.coarse):
                if part is not None:
                    part.compile()  # in place: names of parameters stay
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.generator = torch.Generator(device=device)
        often = Counter(train.labels)
        self.chances = np.array([1 / (often[label] * len(often)) for label in train.labels])
        self._ordered: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, np.int64))
        self.kept: dict[str, Any] = {"best": None, "waited": 0}  # of early stopping
        self.quality: tuple[metrics.Quality, ...] = ()

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts of the training set."""
        return self.data.prompts

    def run(self, *, resume: bool = False, until: int | None = None) -> Result:
        """Train to the end (or to step `until`), sampling and saving on the way. FileExistsError where a run lies."""
        train, begun, used = self.config.train, time.perf_counter(), time.process_time()
        if self.fabric.is_global_zero:
            self._prepare(resume)
        self.fabric.barrier()
        stopped = ""
        with self._checkpoints() as manager, contextlib.ExitStack() as stack:
            step = self._restored(manager) if resume else 0
            log = None
            if self.fabric.is_global_zero:
                log = stack.enter_context(MetricLog(self.folder, formats=tuple(train.formats)))
            last = min(train.max_steps, until or train.max_steps)
            means = Means()
            while step < last and not stopped:
                step += 1
                means.add(self._step(step))
                values = self._logged(step, means) if step % train.log_every == 0 or step == last else {}
                judged = self._evaluated(step, last)
                values |= judged
                if log is not None and values:
                    log.write(step, values, epoch=(step - 1) // self.epoch_steps)
                if judged:
                    self._told(step, values)
                    stopped = self._patience(values)
                    self._save(manager, step, values)
                    means.restart()
                if manager.stop.came:
                    stopped = "signal"
                    if not judged:
                        self._save(manager, step, {})
        result = Result(step, self.quality, time.perf_counter() - begun, stopped)
        if self.fabric.is_global_zero and step >= last:
            run_folder.summary(self.folder, result.step, result.seconds, time.process_time() - used, self.quality)
        return result

    def sample_again(self) -> tuple[metrics.Quality, ...]:
        """Samples of the last checkpoint as the configuration draws them, written and logged at its step."""
        with self._checkpoints() as manager:
            step = self._restored(manager)
        quality = self.samples(step)
        with MetricLog(self.folder) as log:
            log.write(step, sampling.rows(quality))
        return quality

    def _checkpoints(self) -> CheckpointManager:
        train = self.config.train
        metric = train.early_stopping.metric
        direction: Literal["up", "down"] = "down" if train.early_stopping.direction == "down" else "up"
        return CheckpointManager(
            self.folder / "checkpoints",
            keep_last=train.keep_checkpoints,
            keep_every=train.keep_every or None,
            best=(metric, direction),
            handle_sigterm=threading.current_thread() is threading.main_thread(),
        )

    def _restored(self, manager: CheckpointManager) -> int:
        """Put the last trusted checkpoint back; its step, 0 where there is none."""
        state = manager.restore(model=self.raw, optimizer=self.optimizer.optimizer, ema=self.average.module)
        self.kept = dict(state.get("extra") or self.kept)
        return int(state.get("step", 0))

    def _save(self, manager: CheckpointManager, step: int, values: dict[str, float]) -> None:
        metric = self.config.train.early_stopping.metric
        manager.save(
            step=step,
            model=self.raw,
            optimizer=self.optimizer.optimizer,
            ema=self.average.module,
            extra=self.kept,
            metrics={name: value for name, value in values.items() if name == metric},
        )

    def _logged(self, step: int, means: Means) -> dict[str, float]:
        """Means since the last row, with what every row holds."""
        values = means.taken() | {"lr": learning_rate(step, self.config)}
        return values | {"baseline/all_air": self.reference.air_share}

    def _evaluated(self, step: int, last: int) -> dict[str, float]:
        """Held-out loss and metrics of samples, where they are due."""
        train, values = self.config.train, {}
        if step % train.val_every == 0 or step == last:
            values["val/loss"] = self.validation_loss()
        if train.sample_every and (step % train.sample_every == 0 or step == train.max_steps):
            self.quality = self.samples(step)
            values |= sampling.rows(self.quality)
        return values

    def validation_loss(self) -> float:
        """The loss of at most 256 held-out structures with the same noise every time, by the averaged weights."""
        held, train = self.held.grids[:256], self.config.train
        own = torch.from_numpy(self.vocabulary.tokens(held))
        self.generator.manual_seed(train.seed)
        losses = []
        with evaluating(self.average.module, self.fabric) as module:
            for at in range(0, len(own), train.batch_size):
                prompts = [p if train.use_prompt else "" for p in self.held.prompts[at : at + train.batch_size]]
                batch = own[at : at + train.batch_size].to(self.fabric.device)
                losses.append((float(self.process.loss(module, batch, prompts, self.generator).loss), len(batch)))
        return sum(loss * n for loss, n in losses) / max(1, sum(n for _, n in losses))

    def samples(self, step: int) -> tuple[metrics.Quality, ...]:
        """Draw samples for prompts as the data have them, write them, and measure them."""
        train = self.config.train
        each = train.final_per_class if step >= train.max_steps else train.sample_per_class
        labels, prompts = sampling.asked(self.data, each)
        seed = train.seed + step
        with evaluating(self.average.module, self.fabric) as module:
            told = prompts if train.use_prompt and self.config.sampling.use_prompt else [""] * len(prompts)
            grids = sampling.draw(module, self.process, told, self.vocabulary.size, self.config.sampling, seed)
        if self.fabric.is_global_zero:
            run_folder.write_samples(
                self.folder / "samples", step, grids, labels, prompts, run_folder.facts(self.config, seed)
            )
        return metrics.measure(grids, labels, self.reference)

    def _prepare(self, resume: bool) -> None:
        if not resume:
            if (self.folder / run_folder.CONFIG).exists():
                raise FileExistsError(
                    f"{self.folder} holds a run already: go on with --resume, or choose another folder"
                )
            run_folder.prepare(self.folder, self.config, self.vocabulary)
            on_disk = 255 if not self.config.data.verify and 0 not in self.vocabulary.ids else 0
            run_folder.copy_data(
                self.folder, self.data, self.config.data.keep_beside, self.config.train.in_channels - 1, on_disk
            )

    def _step(self, step: int) -> dict[str, torch.Tensor]:
        """One update; numbers stay on the device."""
        train, rank = self.config.train, self.fabric.global_rank
        rate = learning_rate(step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rows = self._rows(step)
        chance = np.random.default_rng([train.seed, step, rank, 1])
        dropped = chance.random(len(rows)) < (train.cond_drop_prob if train.use_prompt else 1.0)
        prompts = ["" if drop else self.prompts[row] for row, drop in zip(rows, dropped, strict=True)]
        self.generator.manual_seed(int(np.random.default_rng([train.seed, step, rank, 2]).integers(LARGE)))
        batch = self.tokens[rows].to(self.fabric.device)
        often = step % NUMBERS == 0 or step % train.log_every == 0 or step == train.max_steps
        outcome = self.process.loss(self.model, batch, prompts, self.generator, numbers=often)
        self.fabric.backward(outcome.loss)
        norm = self.fabric.clip_gradients(self.model, self.optimizer, max_norm=train.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.raw, step)
        numbers = {"train/loss": outcome.loss.detach(), "grad_norm": norm.detach()}
        return numbers | {f"train/{name}": value for name, value in outcome.numbers.items()}

    def _rows(self, step: int) -> list[int]:
        """The rows of a step's batch on this rank: every epoch drawn anew, the rest of an epoch left out."""
        epoch, place = divmod(step - 1, self.epoch_steps)
        order = self._order(epoch)
        whole = self.batch * self.fabric.world_size
        begin = place * whole + self.fabric.global_rank * self.batch
        return [int(row) for row in order[begin : begin + self.batch]]

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The rows of an epoch: all of them shuffled, or as many drawn with every class equally often."""
        if self._ordered[0] != epoch:
            rng, n = np.random.default_rng([self.config.train.seed, epoch]), len(self.data)
            chance = self.chances if self.config.train.balance else None
            order = rng.permutation(n) if chance is None else rng.choice(n, n, p=chance)
            self._ordered = (epoch, order)
        return self._ordered[1]

    def _patience(self, values: dict[str, float]) -> str:
        """Count evaluations without a better value."""
        stopping, kept = self.config.train.early_stopping, self.kept
        value = values.get(stopping.metric)
        if value is None or not math.isfinite(value):
            return ""
        sign = 1 if stopping.direction == "up" else -1
        better = kept["best"] is None or sign * value > sign * float(kept["best"])
        kept.update(best=value if better else kept["best"], waited=0 if better else int(kept["waited"]) + 1)
        return "patience" if 0 < stopping.patience <= int(kept["waited"]) else ""

    def _told(self, step: int, values: dict[str, float]) -> None:
        if not self.fabric.is_global_zero:
            return
        shown = [f"{name} {values[name]:.4g}" for name in ("train/loss", "val/loss", "sample/score") if name in values]
        self.say(f"step {step:,} of {self.config.train.max_steps:,}: {', '.join(shown)}")
        for milestone in self.config.train.milestones:
            value = values.get(milestone.metric)
            if value is not None and step >= milestone.step and value < milestone.at_least:
                self.say(
                    f"milestone missed: {milestone.metric} {value:.3g}, {milestone.at_least:g} expected by step {milestone.step:,}"
                )
