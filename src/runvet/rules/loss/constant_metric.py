"""LOSS107 constant-metric."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.report import Level
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, parts, place
from runvet.run import Series, Stage
from runvet.statistics import bit_constant, finite_values

ROLES = ("val_loss", "test_loss", "val_accuracy", "test_accuracy", "val_metric", "test_metric", "val_error", "test_error",
         "val_success_rate", "test_success_rate", "val_perplexity", "accuracy", "metric", "error", "success_rate", "reward", "train_loss",
         "train_accuracy")  # fmt: skip
BOUNDS = (0.0, 1.0, 100.0)
# Words of what a metric is compared with: such a number is the same at every evaluation by construction.
REFERENCES = frozenset(
    "baseline baselines reference chance ceiling trivial naive copy prior oracle random uniform unigram persistence "
    "zero constant target goal limit floor teacher".split()
)

OVERLAPS = frozenset(
    "dice dsc iou jaccard ap f1 recall precision sensitivity pq".split()
)  # scores that are told class by class
BACKGROUND = frozenset("background bg negative normal healthy".split())
NOT_A_CLASS = BACKGROUND | frozenset("mean avg average macro micro weighted all overall total miou mdice".split())


@dataclass(frozen=True, slots=True)
class Frozen:
    """A part of a series that keeps one value: the part, where it starts, how often, and whether it is a bound."""

    part: Series
    start: int
    count: int
    value: float
    bound: bool
    whole: bool
    superseded: bool


@rule("LOSS107", "constant-metric", level="critical", since="0.1", explains=("LOSS104", "LOSS108", "LOSS118"))
def constant_metric(
    stage: Stage,
    *,
    fewest: float = 5.0,  # evaluations: that many equal ones to 6 digits are no accident
    short: float = 20.0,  # values that are logged with few digits repeat by rounding
) -> Sick | Unsure | None:
    """A metric has the same value, to the last digit, at every evaluation.

    ## What it checks
    Losses, metrics, rewards and success rates that keep one value to six digits for at least 80 % of an uninterrupted part
    and five evaluations. Values that are logged with three digits or fewer must repeat 20 times. Metrics at their best
    bound are left alone, at their worst bound it is a warning; one class of several that is never found is left alone,
    the only one beside the background is not.
    ## Why it matters
    The predictions do not change: the weights do not, or the metric does not look at them.
    ## What to do
    Compare two checkpoints. If the weights differ, the evaluation is broken; if not, the training is.
    ## When to ignore it
    A metric that is constant by construction, such as the share of one class.
    ## Known limits
    A metric that freezes after it had improved is taken for convergence.
    ## References
    - Failure reports: MIC-DKFZ/nnUNet#2350, unslothai/unsloth#1811.
    """
    judged = [s for s in stage.role(*ROLES) if not _reference(s.name)]
    found = [f for s in judged if (f := _frozen(s, int(fewest), int(short))) is not None]
    if not found:
        return None if any(s.total >= fewest for s in judged) else Unsure("fewer than five values of any metric")
    moving = [s.name for s in judged if s.total >= fewest and not any(f.part.name == s.name for f in found)]
    found = [f for f in found if not any(f.part.name.startswith(f"{name}_") for name in moving)]
    if not found:
        return None  # `ade_mean` beside an `ade` that moves: what the metric is compared with
    found.sort(key=lambda f: (f.bound, f.superseded, f.part.role == "train_loss", -f.count))
    lead = found[0]
    if lead.bound and moving and len(found) * 2 < len(moving) and not _only_class(found, moving):
        return None  # one rare class among many metrics
    zero_loss = lead.part.role == "train_loss" and lead.value == 0.0
    if zero_loss and moving:
        return None  # another number still moves: the loss is below what the log keeps
    level: Level | None = "warning" if lead.bound or lead.superseded or lead.count < 8 else None
    return _told(lead, found, level)


def _only_class(found: Sequence[Frozen], moving: Sequence[str]) -> bool:
    """Whether the classes that are never found are all there are but for the background: the others are means of them."""
    for one in found:
        kind = [w for w in words(one.part.name) if w in OVERLAPS]
        if not kind or one.value != 0.0:
            continue
        others = [set(words(n)) for n in moving if kind[0] in words(n)]
        if others and all(w & NOT_A_CLASS for w in others) and any(w & BACKGROUND for w in others):
            return True
    return False


def _reference(name: str) -> bool:
    """Whether the name says that this is a baseline or a bound, not a measurement of the model."""
    return not REFERENCES.isdisjoint(re.split(r"[^a-z]+", name.lower()))


def _digits(values: object) -> int:
    """The number of significant digits with which values were logged: the most that any of them has."""
    most = 0
    for v in finite_values(values)[:200]:  # type: ignore[arg-type]
        text = f"{abs(float(v)):.12g}".split("e")[0].replace(".", "").strip("0")
        most = max(most, len(text))
    return most


def _frozen(series: Series, fewest: int, short: int) -> Frozen | None:
    every = list(parts(series, fewest))
    for number, part in enumerate(every):
        same = bit_constant(part.value, fewest)
        if same is None or same.share < 0.8 or same.start > 0.2 * len(part):
            continue
        whole = same.share == 1.0
        if _digits(part.value) <= 3 and (same.count < short or not whole):
            continue
        up = (part.direction or "down") == "up"
        bound = same.value in BOUNDS
        if bound and (same.value > 0) == up and part.role != "reward":
            continue  # at its best
        if bound and not up and same.value == 0.0 and part.role not in ("train_loss", "reward"):
            continue
        later = any(bit_constant(p.value, fewest) is None for p in every[number + 1 :])
        return Frozen(part, same.start, same.count, same.value, bound, whole, later)
    return None


def _told(lead: Frozen, found: list[Frozen], level: Level | None) -> Sick:
    part, x = lead.part, lead.part.x()
    start = float(x[min(lead.start, len(x) - 1)])
    end = float(x[min(lead.start + lead.count - 1, len(x) - 1)])
    others = [f for f in found[1:] if f.part.name != part.name]
    message = f"{part.name} is {num(lead.value)} at each of {lead.count} evaluations, {place(part, start)} to {num(end)}: it is constant to the last digit"
    if others:
        message += (
            "; so are "
            + ", ".join(f"{f.part.name} ({num(f.value)})" for f in others[:3])
            + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        )
    return Sick(
        message,
        tuple(
            Measure(
                f"{f.part.name}, {f.count} equal values", f.value, None, f.part.where(min(f.start, len(f.part) - 1))
            )
            for f in found[:6]
        ),
        since(part, float(x[min(lead.start + 4, len(x) - 1)])),
        "a metric that is constant by construction",
        (
            Action("Compare two checkpoints: do the weights differ at all?", "minutes", "measure"),
            Action("Evaluate on another batch and print the predictions", "minutes", "measure"),
        ),
        guilty(part, start, end),
        level=level,
    )


def sick() -> Iterator[Stage]:
    """A frozen validation loss, a constant predictor, a policy that always earns the same."""
    yield examples.stage(loss=examples.decay(400), val_loss=np.full(10, 1.921642))
    yield examples.stage(val_accuracy=np.full(9, 0.605634), loss=examples.level(90, 0.66, noise=0.02))
    yield examples.stage(reward=np.full(131, -100.0), loss=np.zeros(131))
    up, never = np.linspace(0.9, 0.99, 30), np.zeros(30)  # the one class that matters is never found
    yield examples.stage(
        loss=examples.decay(400),
        val_loss=examples.decay(30),
        val_dice_background=up,
        val_dice_tumour=never,
        val_dice_mean=up / 2,
    )


def healthy() -> Iterator[Stage]:
    """Rounded scores that repeat, a saturated metric, a loss below what is kept, convergence."""
    yield examples.stage(loss=examples.decay(400), val_accuracy=[0.91, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97])
    yield examples.stage(loss=examples.decay(400), val_accuracy=np.full(10, 1.0), val_loss=examples.decay(10))
    small = np.concatenate([[0.4, 0.01], np.zeros(100)])
    yield examples.stage(loss=small, val_loss=examples.decay(102))
    yield examples.stage(
        loss=examples.decay(400), val_accuracy=np.concatenate([np.linspace(0.1, 0.8125, 20), np.full(10, 0.8125)])
    )
    yield examples.stage(  # one rare class of several
        loss=examples.decay(400),
        val_loss=examples.decay(30),
        val_iou_road=np.linspace(0.5, 0.9, 30),
        val_iou_train=np.zeros(30),
        val_iou_mean=np.linspace(0.2, 0.45, 30),
    )
    # What a metric is compared with is the same at every evaluation.
    yield examples.stage(val_error=examples.decay(30), val_error_mean=np.full(30, 7.843217))
    yield examples.stage(val_error=examples.decay(30), baseline_error=np.full(30, 4.925313))
