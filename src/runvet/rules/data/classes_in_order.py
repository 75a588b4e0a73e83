"""DATA113 classes-in-order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet import examples
from runvet.evidence.data_order import DataOrder, sawtooth
from runvet.evidence.settings import place_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent
from runvet.run import FloatArray, Run, Stage


@rule("DATA113", "classes-in-order", level="critical", since="0.1", explains=("LR102", "LOSS103"))
def classes_in_order(
    order: DataOrder, stage: Stage, *, share: float = 0.35, swing: float = 0.1
) -> Sick | Unsure | None:
    """Training data that are not shuffled are visited one class after the other.

    ## What it checks
    A setting that turns shuffling off for training, together with data sorted by class (at least 50 items whose classes
    change hardly more often than they must), or with a training loss of a classification that runs through the same
    course in every epoch: the place in the epoch (ten or twenty parts) explains the share `share` of its variation, and the
    parts lie apart by the share `swing` of the loss and follow each other as blocks do. A warning for either of them, critical for both. Silent where a sampler, a stream or several
    processes may mix the data, and where the loss of sorted data shows no such course.
    ## Why it matters
    Every batch holds one class: the model learns to answer that class, and forgets the others until they come again.
    ## What to do
    Turn shuffling on, or shuffle the list of items once before training.
    ## When to ignore it
    The order is a curriculum on purpose.
    ## Known limits
    Without such a setting nothing is said: a loss alone does not tell an order from a schedule.
    ## References
    - Bengio 2012, Practical recommendations for gradient-based training, arXiv 1206.5533, on the order of examples.
    """
    saw, found = order.sawtooth, order.sorted
    course = saw is not None and saw.share >= share and saw.swing >= swing
    seen = course and saw is not None and (found is not None or (saw.blocks and _classes(stage)))
    if not seen and (found is None or saw is not None):
        return None if order.known or saw is not None else Unsure("neither classes of the data nor epochs of the loss are known", "log step and epoch side by side")  # fmt: skip
    if order.mixed:
        return Unsure(f"shuffling is off, beside {order.mixed}", "")
    cycles = [w for s in stage.role("lr") if (w := sawtooth(s)) is not None and w.share >= share]
    if cycles:
        return Unsure(f"{cycles[0].series.name} has a course of its own in every epoch", "")
    told = [] if found is None else [
        f"the {found.items:,} training items of {found.where} stand class by class (the class changes {found.changes} times among {found.classes} classes)"
    ]  # fmt: skip
    if seen and saw is not None:
        told.append(
            f"{saw.series.name} runs through the same course in each of {saw.epochs} epochs"
            f" ({percent(saw.share)} of its variation, {percent(saw.swing)} of its level)"
        )
    return Sick(
        f"{order.setting.key} is {order.setting.value}, and {' and '.join(told)}",
        evidence=(
            Measure(order.setting.key, str(order.setting.value), None, order.setting.where),
            *((Measure("changes of the class among training items", found.changes, f"of {found.items}", found.where),) if found else ()),
            *((Measure("variation that every epoch repeats", round(saw.share, 3), "share", saw.series.where(0)),
               Measure("range of the parts of an epoch over the loss", float(num(saw.swing))),
               Measure("steps in an epoch", round(saw.length))) if seen and saw is not None else ()),
        ),
        innocent="the order is a curriculum on purpose, or another part of the code shuffles",
        actions=(Action(f"Set {place_of(order.setting)} to true, train again", "a restart", "repair"),),
        level=None if seen and found is not None else "warning",
    )  # fmt: skip


def _classes(stage: Stage) -> bool:
    """Whether the run is a classification."""
    return bool(
        stage.role("train_accuracy", "val_accuracy", "accuracy")
        or stage.setting("num_classes", "n_classes", "nclasses")
    )


def _loss(course: FloatArray, epochs: int = 12, seed: int = 0) -> dict[str, Any]:
    """A loss of 20 steps an epoch that falls from epoch to epoch and follows a course within each."""
    rng = np.random.default_rng(seed)
    level = np.repeat(0.5 + 1.5 / (1 + np.arange(epochs)), 20)
    values = level * (1 + np.tile(course, epochs) + 0.05 * rng.standard_normal(20 * epochs))
    return {"loss": values, "epochs": np.repeat(np.arange(epochs), 20), "val_accuracy": np.linspace(0.3, 0.5, epochs)}


COURSE = np.tile([0.6, 0.2, -0.1, -0.3, -0.4], 4)  # four classes, each learnt and forgotten


def _run(labels: Any, course: FloatArray, **settings: Any) -> Run:
    rng = np.random.default_rng(1)
    y = np.asarray(labels)
    files = {"data/train.npz": {"x": rng.standard_normal((len(y), 6)) + y[:, None], "y": y}} if len(y) else None
    return examples.run(
        examples.stage(settings={"shuffle": False, "num_classes": 4, **settings}, **_loss(course)), files=files
    )


def sick() -> Iterator[Run]:
    """Sorted labels and a sawtooth; each alone."""
    yield _run(np.repeat(np.arange(4), 40), COURSE)
    yield _run([], COURSE)


def healthy() -> Iterator[Run]:
    """Sorted data that something else shuffles; data in random order; both."""
    yield _run(np.repeat(np.arange(4), 40), np.zeros(20))
    yield _run(np.random.default_rng(0).integers(0, 4, 160), np.zeros(20))
