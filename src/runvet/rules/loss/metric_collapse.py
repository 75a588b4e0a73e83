"""LOSS116 metric-collapse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.nature import Nature
from runvet.report import Level
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, last_part, num, place
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import bins, noise

ROLES = ("reward", "val_success_rate", "test_success_rate", "success_rate", "val_accuracy", "test_accuracy", "val_metric", "test_metric",
         "accuracy", "metric", "train_accuracy", "train_success_rate")  # fmt: skip
# Parts of a trade-off, spreads and auxiliary quantities: their fall alone says nothing.
SIDE = re.compile(
    r"precision|recall|variance|ess\b|margin|std|min_|_min|max_|chosen|rejected|sensitivity|specificity|/min|/max|frac|batch|rewards?/acc|top_?5",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fall:
    """A metric that rose (or began high) and fell for good: smoothed levels and where they are."""

    part: Series
    peak: float
    at: float
    first: float
    last: float
    back: float
    gain: float
    below: bool


@rule("LOSS116", "metric-collapse", level="critical", since="0.1", explains=("LOSS119",))
def metric_collapse(
    stage: Stage,
    nature: Nature,
    *,
    given_back: float = 0.75,  # of what had been gained; noisy returns give back half and come again
    fewest: float = 10.0,  # values
) -> Sick | Unsure | None:
    """A score, reward or success rate had risen, collapsed, and was never regained.

    ## What it checks
    Smoothed levels of every metric that is better when higher: the last ones (a sixth of the run) have given back 75 % of all that
    was gained, beyond the noise and twice as far as any dip before the peak, and nothing since came back above the middle. Parts of a trade-off (precision, recall) are left out.
    ## Why it matters
    The last checkpoint is worthless, the one at the peak may be fine.
    ## What to do
    Go back to the checkpoint at the peak. In reinforcement learning look at the KL and the entropy of the update that broke the policy.
    ## When to ignore it
    An evaluation that was made harder during the run.
    ## Known limits
    A reward that falls without a shock to the policy is a warning at most, unless it ends below everything before. Dips at the very end are not judged until a sixth of the run lies after them.
    ## References
    - Schulman et al., Proximal Policy Optimization Algorithms, 2017 (why updates are kept small).
    """
    candidates = [
        s for s in stage.role(*ROLES) if s.direction == "up" and not SIDE.search(s.name) and s.total >= fewest
    ]
    if not candidates:
        return Unsure("no score with enough values", "log a reward or a validation metric")
    falls = [f for s in candidates if (f := _fall(s, int(fewest), given_back)) is not None]
    if not falls or 2 * len(falls) < len(candidates):
        return None
    fall = max(falls, key=lambda f: f.back)
    part = fall.part
    shock = _shock(stage)
    clear = shock or fall.gain > 8.0 * noise(part.value, block=True)
    if not clear:
        return None  # a return that wanders like this may come back
    level: Level | None = None if shock or fall.part.role != "reward" or fall.below else "warning"
    return Sick(
        f"{part.name} collapsed: {num(fall.peak)} around {place(part, fall.at)}, {num(fall.last)} at the end ({num(fall.first)} at the start)"
        + (f"; {shock}" if shock else "")
        + (f"; so did {', '.join(f.part.name for f in falls if f is not fall)[:120]}" if len(falls) > 1 else ""),
        (
            Measure(
                f"{part.name} at its peak",
                fall.peak,
                "smoothed",
                part.where(int(np.argmin(np.abs(part.x() - fall.at)))),
            ),
            Measure(f"{part.name} at the end", fall.last, "smoothed", part.where(len(part) - 1)),
            Measure("share of the gain that is lost", round(min(fall.back, 99.0), 2)),
        ),
        since(part, fall.at),
        "an evaluation that was made harder during the run",
        (
            Action(f"Go back to the checkpoint around {place(part, fall.at)}", BACK, "keep"),
            Action("Look at KL, entropy, gradient norm and learning rate where it breaks", "minutes", "measure"),
            Action(
                "Make updates smaller: learning rate, clipping, a KL limit"
                if nature.reinforcement
                else "Lower the learning rate",
                "config",
            ),
        ),
        guilty(part, fall.at),
        level=level,
    )


def _shock(stage: Stage) -> str:
    """A policy update that went much too far: its KL in units of the usual one; empty where there was none."""
    for one in stage.role("kl"):
        v = one.value[np.isfinite(one.value)]
        if len(v) >= 8 and float(v.max()) > 0.5 and float(v.max()) > 30 * abs(float(np.median(v))):
            at = int(np.nanargmax(np.where(np.isfinite(one.value), one.value, -np.inf)))
            return f"{one.name} was {num(float(v.max()))} at {place(one, float(one.x()[at]))}, {num(float(np.median(v)))} usually"
    return ""


def _smooth(x: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Levels of a curve, (k,) each: bin medians, or medians of three for short ones."""
    made = bins(x, v)
    if made is not None:
        return made.x, made.value
    three = np.lib.stride_tricks.sliding_window_view(v, 3)
    return x[1:-1], np.asarray(np.median(three, axis=1), np.float64)


def _fall(series: Series, fewest: int, given_back: float) -> Fall | None:
    part = last_part(series, fewest)
    if part is None:
        return None
    x, b = _smooth(part.x(), part.value)
    if len(b) < 6:
        return None
    top = int(np.argmax(b))
    tail = b[-max(3, len(b) // 6) :]
    if top + len(tail) + 1 > len(b):
        return None
    first, peak, last = float(b[0]), float(b[top]), float(np.median(tail))
    gain = peak - float(b[: top + 1].min())
    sigma = noise(part.value)
    if gain < 4.0 * sigma or peak - last < given_back * gain or float(tail.max()) > peak - 0.5 * gain:
        return None
    if gain < 0.1 * max(abs(peak), 1e-12) or peak - last < 4.0 * sigma:
        return None
    below = last < float(b[: top + 1].min()) - 0.25 * gain
    earlier = np.maximum.accumulate(b[: top + 1]) - b[: top + 1]
    if peak - last < 2.0 * float(earlier.max()) and not below:
        return None  # it has wandered as far before, and came back
    return Fall(part, peak, float(x[top]), first, last, (peak - last) / gain, gain, below)


def sick() -> Iterator[Stage]:
    """A policy that breaks, in few updates and in many, and a model that forgets."""
    rng = np.random.default_rng(0)
    kl = [0.02, 0.02, 0.03, 0.02, 0.02, 0.03, 0.02, 16.9, 0.03, 0.02, 0.02, 0.02]
    yield examples.stage(reward=[15, 17, 21, 26, 30, 35, 41, 40, 24, 18, 16, 16.3], approx_kl=kl)
    curve = np.concatenate([np.linspace(0, 50, 120), np.full(120, -9.0)])
    yield examples.stage(reward=curve + 3 * rng.standard_normal(240))
    yield examples.stage(
        loss=examples.decay(600), val_accuracy=np.concatenate([np.linspace(0.2, 0.8, 15), np.full(8, 0.1)])
    )


def healthy() -> Iterator[Stage]:
    """Noisy returns with dips, a plateau, one bad evaluation, precision traded for recall."""
    rng = np.random.default_rng(1)
    yield examples.stage(reward=np.linspace(-98, 340, 300) + 90 * rng.standard_normal(300))
    dips = np.linspace(10, 18, 48) + 2.5 * rng.standard_normal(48)
    yield examples.stage(reward=dips)
    yield examples.stage(
        loss=examples.decay(600), val_accuracy=[0.2, 0.4, 0.5, 0.6, 0.62, 0.3, 0.63, 0.64, 0.63, 0.64, 0.65, 0.66]
    )
    yield examples.stage(
        loss=examples.decay(600), val_map=examples.level(30, 0.4), val_recall=np.linspace(0.9, 0.3, 30)
    )
