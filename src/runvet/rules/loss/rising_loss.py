"""LOSS101 rising-loss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from runvet import examples
from runvet.evidence.checkpoints import Checkpoints
from runvet.evidence.curves import LearningRate, Reward, TrainLoss, ValLoss, ValMetrics
from runvet.evidence.nature import Nature
from runvet.report import Level
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._after_rise import Rate, after_rise, remedy
from runvet.rules.loss._common import ends, guilty, improves, last_part, num, parts, place
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import rising, rising_small

CRITIC = re.compile(r"critic|value|(?:^|[^a-z])vf|(?:^|[^a-z])q\d?_?(?:f\d?_?)?loss|td_?loss")


@dataclass(frozen=True, slots=True)
class Found:
    """A rise in one series: the facts that the message and the evidence need, whatever the length of the series."""

    series: Series
    level: Level
    start: float
    end: float
    best: float
    last: float
    tau: float
    p: float
    in_noise: float
    unit: str


@rule(
    "LOSS101",
    "rising-loss",
    level="critical",
    since="0.1",
    explains=("LOSS102", "LOSS103", "LOSS108", "LOSS116", "LOSS119", "LOSS121"),
)
def rising_loss(
    stage: Stage,
    loss: TrainLoss,
    nature: Nature,
    reward: Reward | None,
    val_loss: ValLoss | None,
    metrics: ValMetrics | None,
    lr: LearningRate | None,
    checkpoints: Checkpoints | None,
    *,
    critic_factor: float = 4.0,  # value losses grow with the return; fourfold while the return falls is divergence
) -> Sick | Unsure | None:
    """The training loss rises from its minimum to the end of the run.

    ## What it checks
    Medians of 8 to 24 bins of each uninterrupted part, after the warm-up: the loss must rise from its best bin to its
    last one, steadily (Kendall's tau) and by many standard errors, and give back a good part of what it had gained.
    Series of 6 to 39 points are judged point by point. Losses of reinforcement learning and of adversaries may rise;
    there only a critic that grows severalfold while the reward falls is told.
    ## Why it matters
    Each further step makes the model worse. The weights at the minimum are better than those at the end.
    ## What to do
    Stop, go back to a checkpoint near the minimum, and lower the learning rate or clip gradients.
    ## When to ignore it
    A curriculum, a rising mask ratio, an annealed loss term or a stronger augmentation makes the task harder on purpose.
    ## Known limits
    Weights that grow are only recognised when they are logged. A rise within the first 5 % of the run is not judged.
    ## References
    - Kendall, Rank Correlation Methods, 1948; failure reports: zihangdai/xlnet#124, marin-community/marin#2830.
    """
    if nature.reinforcement:
        return _critic(stage, reward, critic_factor)
    found = [f for series in _judged(loss, nature) if (f := _rise(series)) is not None]
    if not found:
        return None if _judged(loss, nature) else Unsure("adversarial losses may rise")
    worst = max(found, key=lambda f: (f.level == "critical", f.in_noise))
    if nature.ramps:
        return Unsure(f"{worst.series.name} rises, and so does {nature.ramps[0]}", "log each loss term unweighted")
    level: Level = worst.level
    improving = [s.name for s in (*(val_loss.series if val_loss else ()), *(metrics.series[:3] if metrics else ()))
                 if s.total > 3 and s.axis == worst.series.axis and improves(s, worst.start)]  # fmt: skip
    lost = abs(worst.last - worst.best)
    if (
        (improving and val_loss is not None and val_loss.lead.name in improving)
        or nature.adversarial
        or nature.contrastive
    ):
        level = "warning"
    return _told(worst, level, lost, improving, _rate(stage, lr, worst), checkpoints)


def _judged(loss: TrainLoss, nature: Nature) -> list[Series]:
    """Totals; where only terms are logged, their sum (or the terms that share no axis are left alone)."""
    if loss.is_total:
        return list(loss.totals)
    terms = [
        s
        for s in loss.series
        if s.role in ("loss_term", "train_perplexity", "perplexity") and "time" not in s.name.lower()
    ]
    if nature.adversarial or not terms:
        return []
    same = [s for s in terms if len(s) == len(terms[0]) and np.array_equal(s.x(), terms[0].x())]
    if len(same) == 1:
        return same
    total = np.sum([s.value for s in same], axis=0)
    return [_with(same[0], "sum of " + ", ".join(s.name for s in same[:4]) + (" …" if len(same) > 4 else ""), total)]


def _with(series: Series, name: str, value: FloatArray) -> Series:
    finite = value[np.isfinite(value)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (np.nan, np.nan)
    return replace(series, name=name, value=value, minimum=low, maximum=high, non_finite=len(value) - len(finite))


def _rise(series: Series) -> Found | None:
    """The worst rise in the parts of a series; a part that a later one has taken back to below does not count."""
    chosen: Found | None = None
    for part in parts(series, 6):
        x = part.x()
        big = rising(x, part.value)
        if big is None and 40 <= len(part) < 60:  # too short once a warm-up is taken off, too long for single points
            big = rising(x, part.value, warmup=0.0)
        if big is not None:
            one = Found(
                part, big.level, big.x, big.x_end, big.best, big.last, big.tau, big.p, big.size_in_se, "standard errors"
            )
        else:
            small = rising_small(part.value)
            if small is None:
                continue
            level: Level = "critical" if small.relative > 0.25 and small.n >= 10 and small.in_noise > 8 else "warning"
            one = Found(part, level, float(x[small.best_index]), float(x[-1]), small.best, small.last, small.tau, small.p,
                        small.in_noise, "times the noise")  # fmt: skip
        chosen = one
    last = last_part(series, 6)
    if chosen is None or last is None:
        return None
    if chosen.series is not last and ends(last.value)[1] <= chosen.best + 0.1 * abs(chosen.last - chosen.best):
        return None
    return chosen


def _rate(stage: Stage, lr: LearningRate | None, found: Found) -> Rate | None:
    """The logged rate at both ends of the rise, else the configured one."""
    if lr is not None:
        s = lr.lead.finite()
        x = s.x()
        if s.axis == found.series.axis and len(s) > 1 and x[0] <= found.end and x[-1] >= found.start:
            before, after = (float(np.interp(at, x, s.value)) for at in (found.start, found.end))
            grew = after > 1.5 * before > 0
            verb = "grows" if grew else "goes"
            told = f"{s.name} {verb} from {num(before)} to {num(after)} meanwhile"
            return Rate(
                grew, told, Measure(f"{s.name} when the rise began, and at its end", f"{num(before)} -> {num(after)}")
            )
    setting = stage.setting("learning_rate", "lr", "base_lr", "max_lr")
    if setting is None or setting.number is None:
        return None
    return Rate(False, "", Measure(f"{setting.key} as configured", setting.number, None, setting.where))


def _told(
    found: Found,
    level: Level,
    lost: float,
    improving: list[str],
    rate: Rate | None,
    checkpoints: Checkpoints | None = None,
) -> Sick:
    s = found.series
    times = (
        ""
        if found.best <= 0
        else f" ({found.last / found.best:.2g} times)"
        if found.last > 1.2 * found.best
        else f" ({found.last / found.best - 1:+.0%})"
    )
    strength = "without noise" if not np.isfinite(found.in_noise) else f"{found.in_noise:.0f} {found.unit}"
    message = (
        f"{s.name} rises from {num(found.best)} at {place(s, found.start)} to {num(found.last)} at {place(s, found.end)}:"
        f" {lost:+.3g}{times}, τ = {found.tau:.2f}, {strength}"
    )
    low = int(np.argmin(s.value))
    if s.value[low] < found.best:
        message += f"; lowest point {num(float(s.value[low]))} at {place(s, float(s.x()[low]))}"
    if rate is not None and rate.grew:
        message += f"; {rate.told}"
    if improving:
        message += f"; {improving[0]} still improves"
    x = s.x()
    return Sick(
        message,
        evidence=(
            Measure(f"{s.name} at its best", found.best, None, s.where(int(np.argmin(np.abs(x - found.start))))),
            Measure(f"{s.name} at the end", found.last, None, s.where(len(s) - 1)),
            Measure("Kendall's tau from the best on", round(found.tau, 3), f"(p = {found.p:.1g})"),
            *((rate.measure,) if rate else ()),
        ),
        since_step=since(s, found.start),
        innocent="a task made harder on purpose: a curriculum, a mask ratio, an annealed term, stronger augmentation",
        actions=(
            Action(f"Stop the run; it has lost {lost:.3g} since {place(s, found.start)}", "now, free", "stop"),
            *after_rise(s, found.start, found.end, remedy(rate), checkpoints),
        ),
        window=guilty(s, found.start),
        level=level,
    )


def _critic(stage: Stage, reward: Reward | None, factor: float) -> Sick | Unsure | None:
    """A critic whose loss grows severalfold while the reward falls."""
    if reward is None:
        return Unsure("losses of reinforcement learning may rise with the return", "log the mean reward")
    returns = last_part(reward.lead, 6)
    if returns is None:
        return Unsure("too few rewards to tell", "log the mean reward at every update")
    before, after = ends(returns.value, 0.25)
    if not after < before:
        return None
    for series in stage.role("loss_term", "train_loss", "discriminator_loss"):
        if not CRITIC.search(series.name.lower()):
            continue
        found = _rise(series)
        if found is None or not found.best > 0 or found.last < factor * found.best:
            continue
        told = _told(found, "critical", found.last - found.best, [], None)
        return Sick(
            f"{told.message}, while {returns.name} falls from {num(before)} to {num(after)}: the value function runs away",
            (*told.evidence[:3], Measure(f"{returns.name}, first and last quarter", f"{num(before)}, {num(after)}")),
            told.since_step,
            "rewards that were rescaled, or an environment that became harder, during the run",
            (
                Action("Stop the run", "now, free", "stop"),
                Action("Lower the critic's learning rate, scale the rewards or slow the target network", "config"),
            ),
            told.window,
        )
    return None


def sick() -> Iterator[Stage]:
    """A steady drift, one from the start on, a short series, and a critic that runs away."""
    yield examples.stage(loss=examples.decay(2000) + examples.rise(2000, at=0.4, size=1.5))
    yield examples.stage(loss=1.5 + 5 * (1 - np.exp(-np.arange(3000) / 600)) + 0.2 * examples.level(3000, 1, noise=0.5))
    yield examples.stage(
        train_loss=[1.3, 1.1, 1.08, 1.12, 1.2, 1.3, 1.36, 1.45, 1.5, 1.56, 1.6, 1.66], epochs=np.arange(12)
    )
    yield examples.stage(
        loss_critic=np.linspace(600, 5200, 41) + 30 * np.sin(np.arange(41)),
        reward=np.linspace(-108, -134, 41) + np.sin(3 * np.arange(41)),
    )


def healthy() -> Iterator[Stage]:
    """Noise, negative losses, a late plateau, returns that lift the value loss, a logged curriculum, restarts."""
    yield examples.stage(loss=examples.decay(2000, noise=0.4))
    yield examples.stage(loss=examples.decay(2000, noise=0.02) - 6)
    yield examples.stage(loss=examples.decay(400, power=2.0))
    yield examples.stage(loss=[2.7, 2.1, 1.8, 1.7, 1.74, 1.65, 1.68, 1.6])
    steps = np.concatenate([np.arange(800), np.arange(800)])
    yield examples.stage(steps=steps, loss=np.concatenate([examples.decay(800), examples.decay(800, seed=1)]))
    tailed = examples.decay(3000) * np.exp(np.abs(np.random.default_rng(1).standard_t(2, 3000)) * 0.1)
    yield examples.stage(loss=tailed)
    yield examples.stage(loss=examples.decay(300, start=9, end=8.5, noise=0.1, seed=5))
    yield examples.stage(
        value_loss=np.linspace(10, 300, 100) + np.sin(np.arange(100)),
        reward=np.linspace(1, 40, 100),
        loss=examples.rise(100),
    )
