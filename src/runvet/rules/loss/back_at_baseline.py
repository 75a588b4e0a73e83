"""LOSS126 back-at-baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.nature import Nature
from runvet.evidence.vocabulary import Vocabulary
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, last_part, num, place
from runvet.rules.loss.loss_at_baseline import COIN, Baseline, judged_losses, uniform
from runvet.run import Series, Stage

TOLERANCE = 0.005  # of the baseline: a dead model's loss lies within a few thousandths, up to the noise of its batches
COIN_TOLERANCE = 0.002  # where nothing but the value tells of it


@rule(
    "LOSS126",
    "back-at-baseline",
    level="critical",
    since="0.1",
    explains=(
        "LOSS101",
        "LOSS102",
        "LOSS103",
        "LOSS104",
        "LOSS105",
        "LOSS106",
        "LOSS108",
        "LOSS116",
        "LOSS119",
        "LOSS131",
    ),
)
def back_at_baseline(
    stage: Stage,
    nature: Nature,
    vocabulary: Vocabulary | None,
    *,
    earned: float = 0.05,  # share of the baseline that the loss had come below it
    rest: float = 0.1,  # share of the points, at the end, that must lie at the baseline
    fewest: float = 8.0,  # of them
) -> Sick | Unsure | None:
    """A loss that had fallen is back at that of a model that ignores its input, and stays there.

    ## What it checks
    Training losses that once lay 5 % below ln K, for a number of classes, tokens, codes, prototypes or candidates K
    that settings or log name (or below ln 2), and whose last points, a tenth of them at least, lie within 0.5 % of it.
    ## Why it matters
    What was learned is gone: the model answers the same whatever it sees. It hardly ever comes back from there.
    ## What to do
    Go back to the last checkpoint before the loss rose. Lower the learning rate, clip the gradient; with a teacher,
    look at its momentum, its temperature and its centring.
    ## When to ignore it
    Never seen in a sound run; in one whose labels were made random on purpose.
    ## Known limits
    Class weights and label smoothing shift the level. A loss that is still rising is told by `rising-loss`.
    ## References
    - Caron et al. 2021, Emerging properties in self-supervised vision transformers, section 5.3 (collapse to a uniform output).
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("the losses of reinforcement learning and of adversaries do not measure fit")
    judged = 0
    for series in judged_losses(stage):
        part = last_part(series, 2 * int(fewest))
        if part is None or series.split in ("val", "test"):
            continue
        judged += 1
        for base in _baselines(vocabulary):
            start = _resting(part, base, rest, int(fewest))
            if start is None:
                continue
            low = _lowest(part, start)
            if low is not None and float(part.value[low]) < (1.0 - earned) * base.value:
                return _told(part, base, start, low)
    return None if judged else Unsure("too few losses", "log the loss at every step or epoch")


def _baselines(vocabulary: Vocabulary | None) -> Iterator[Baseline]:
    for one in vocabulary.alphabets if vocabulary else ():
        yield Baseline(one.nats, uniform(one), TOLERANCE, True)
    yield Baseline(COIN.value, COIN.what, COIN_TOLERANCE, False)


def _resting(part: Series, base: Baseline, rest: float, fewest: int) -> int | None:
    """The first point of the stretch at the end that lies at the baseline, or None where it is too short."""
    near = np.abs(part.value - base.value) <= base.tolerance * base.value
    least = max(fewest, math.ceil(rest * len(near)))
    tail = near[-least:]
    if np.mean(tail) < 0.9 or (not base.known and least < 20):
        return None
    if abs(float(np.median(part.value[-least:])) - base.value) > 0.5 * base.tolerance * base.value:
        return None
    # back as long as nine of ten points keep to it
    share = np.cumsum(near[::-1]) / np.arange(1, len(near) + 1)
    length = int(np.flatnonzero((share >= 0.9) & near[::-1])[-1]) + 1
    return len(near) - length


def _lowest(part: Series, start: int) -> int | None:
    """The point of the lowest median of five neighbours before `start`."""
    if start < 5:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(part.value[:start], 5)
    return int(np.argmin(np.median(windows, axis=1))) + 2


def _told(part: Series, base: Baseline, start: int, low: int) -> Sick:
    x, v = part.x(), part.value
    level = float(np.median(v[start:]))
    at, back = float(x[low]), float(x[start])
    return Sick(
        f"{part.name} had fallen to {num(float(v[low]))} at {place(part, at)} and is back at {num(level)} from {place(part, back)} to the end: {base.what}",
        (
            Measure(f"lowest {part.name}", float(v[low]), None, part.where(low)),
            Measure(f"median of {part.name} since {place(part, back)}", round(level, 6), None, part.where(start)),
            Measure("baseline", round(base.value, 6), "nats"),
        ),
        since(part, back),
        "labels or targets were made random on purpose",
        (
            Action(f"Go back to the last checkpoint before the loss left {place(part, at)}", BACK, "repair"),
            Action("Lower the learning rate or clip the gradient from there on", "a restart", "change"),
        ),
        guilty(part, back),
        level=None if base.known else "warning",
    )  # fmt: skip


def _collapse(n: int, low: float, top: float) -> list[float]:
    fall, rise = np.linspace(top, low, n // 4), np.linspace(low, top, n // 4)
    return [*fall.tolist(), *rise.tolist(), *np.full(n - 2 * (n // 4), top).tolist()]


def sick() -> Iterator[Stage]:
    """A self-distilled model, a classifier and a binary one that lose all they had learned."""
    top = math.log(65_536)
    yield examples.stage(train_loss=_collapse(100, 7.5, top), settings={"out_dim": 65_536, "teacher_temp": 0.04})
    dead = np.array(_collapse(800, 0.8, math.log(10))) + examples.level(800, 0.0, noise=0.0)
    yield examples.stage(loss=dead, settings={"num_classes": 10})
    yield examples.stage(loss=np.array(_collapse(400, 0.3, math.log(2))))


def healthy() -> Iterator[Stage]:
    """One that learns, one that passes ln K on its way up and is judged elsewhere, one that starts there."""
    yield examples.stage(loss=examples.decay(400, start=math.log(10), end=0.3), settings={"num_classes": 10})
    yield examples.stage(
        loss=examples.decay(400, start=math.log(512), end=2.0), settings={"method": "moco", "queue_size": 511}
    )
    yield examples.stage(loss=examples.decay(600, start=2.0, end=math.log(2), noise=0.02))
