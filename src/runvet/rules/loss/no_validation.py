"""LOSS141 no-validation."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss, ValMetrics
from runvet.evidence.events import Events
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, place, since
from runvet.run import Setting, Stage

HELD_OUT = frozenset({"val", "valid", "validation", "dev", "heldout", "holdout"})
COUNTS = frozenset(
    {
        "samples",
        "size",
        "images",
        "examples",
        "items",
        "num",
        "number",
        "n",
        "count",
        "length",
        "len",
        "files",
        "sequences",
        "frames",
        "videos",
    }
)
SOURCES = frozenset(
    {
        "data",
        "dataset",
        "datasets",
        "set",
        "dir",
        "path",
        "file",
        "root",
        "csv",
        "json",
        "list",
        "folder",
        "split",
        "annotations",
        "ann",
        "idx",
        "rec",
    }
)
# Words that make a setting one of how or when to validate, not of what on.
OTHER = frozenset(
    {
        "batch",
        "steps",
        "step",
        "interval",
        "every",
        "freq",
        "frequency",
        "epoch",
        "epochs",
        "metric",
        "check",
        "workers",
        "loss",
        "only",
        "output",
        "save",
        "log",
    }
)


@rule("LOSS141", "no-validation", level="warning", since="0.1")
def no_validation(
    stage: Stage,
    loss: TrainLoss,
    val: ValLoss | None,
    metrics: ValMetrics | None,
    events: Events,
    nature: Nature,
    *,
    points: float = 100,
) -> Sick | None:
    """There is a validation set, and nothing was ever measured on it.

    ## What it checks
    Whether settings or the log name validation data (their number or where they are), while a run of `points` points
    of the training loss or more logged no held-out value at all. Reinforcement learning and adversarial training,
    which are judged otherwise, are left alone.
    ## Why it matters
    Without a held-out value nothing tells learning from memorising, nor which checkpoint to keep.
    ## What to do
    Evaluate every epoch, and log loss and metric of the validation set.
    ## When to ignore it
    Evaluation runs as a program of its own and logs elsewhere.
    ## Known limits
    Silent where the run names no validation data: training without is a decision.
    ## References
    - Failure catalogue: evaluations that never ran because the set was empty or the interval longer than the run.
    """
    if val is not None or metrics is not None or nature.reinforcement or nature.adversarial or events.of("best"):
        return None
    told = next((s for s in stage.settings if _names_data(s)), None)
    lead = loss.lead
    if told is None or lead.total < points:
        return None
    end = float(lead.x()[-1])
    return Sick(
        f"no validation value in {lead.total:,} points up to {place(lead.axis, end)}, though {told.key} = {told.value}",
        evidence=(
            Measure(
                told.key,
                str(told.value) if told.number is None else told.number,
                None,
                told.where,
            ),
            Measure("held-out values", 0, "points"),
        ),
        since_step=since(lead, end),
        innocent="evaluation runs as a program of its own and logs elsewhere",
        actions=(
            Action(
                f"Evaluate on {told.key} and log val/loss, at least {num(10)} times in the run",
                "a few lines",
                "measure",
            ),
        ),
    )


def _names_data(setting: Setting) -> bool:
    """Whether a setting tells how many validation samples there are, or where they lie."""
    parts = [w for w in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", setting.key).lower()) if w]
    words = set(parts[-5:])
    if not words & HELD_OUT or words & OTHER:
        return False
    value = setting.value
    if setting.number is not None:
        return setting.number > 1 and bool(words & COUNTS)
    return isinstance(value, str) and bool(words & SOURCES) and value.lower() not in ("", "none", "null", "false", "no")


def sick() -> Iterator[Stage]:
    """240 validation samples, and a folder of them; nothing measured."""
    yield examples.stage(train_loss=examples.decay(400), settings={"val_samples": 240})
    yield examples.stage(train_loss=examples.decay(400), settings={"data.val_dir": "data/val"})


def healthy() -> Iterator[Stage]:
    """Validated, a short run, no validation data at all, and settings that only tell when to validate."""
    yield examples.stage(train_loss=examples.decay(400), val_loss=examples.decay(4), settings={"val_samples": 240})
    yield examples.stage(train_loss=examples.decay(50), settings={"val_samples": 240})
    yield examples.stage(train_loss=examples.decay(400), settings={"lr": 0.001})
    yield examples.stage(train_loss=examples.decay(400), settings={"val_check_interval": 500, "val_batch_size": 8})
    walk = np.linspace(0.0, 20.0, 400) + np.random.default_rng(0).standard_normal(400)
    yield examples.stage(train_loss=examples.decay(400), rewards=walk, settings={"val_samples": 240})
