"""DATA106 background-accuracy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet import examples_artifacts as made
from runvet.evidence.grids import GridSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run, Stage


@rule("DATA106", "background-accuracy", level="warning", since="0.1", explains=("LOSS115",))
def background_accuracy(
    grids: GridSamples, stage: Stage, *, above: float = 0.9, gain: float = 0.5
) -> Sick | Unsure | None:
    """The accuracy is little more than what all-background gets.

    ## What it checks
    The last logged accuracy (training or validation) of a model of grids against the share of background in the data.
    A warning where background makes up more than 90 % and the model gets less than half of the rest right at best.
    ## Why it matters
    99.5 % sounds excellent where 99 % are air: only the cells that hold something tell what was learnt.
    ## What to do
    Log accuracy and loss of filled cells alone.
    ## When to ignore it
    The accuracy is already over filled cells only.
    ## Known limits
    An accuracy that a model of masked cells reports on all cells is as uninformative and may be higher.
    ## References
    - Class imbalance: dmlc/gluon-cv#644 (99 % background, 99 % accuracy, IoU 0).
    """
    series = [s for s in stage.role("val_accuracy", "accuracy", "train_accuracy") if len(s.finite())]
    if not series:
        return Unsure("no accuracy is logged", "log the accuracy of filled cells")
    cells = sum(g.grid.size for g in grids.data)
    share = sum(g.grid.size - g.filled for g in grids.data) / cells
    if share < above:
        return None
    for one in series:
        value = float(one.finite().last)
        value = value / 100 if 1 < value <= 100 else value
        # Lower than all-background: then it is not an accuracy over all cells.
        if not share - gain * (1 - share) < value < share + gain * (1 - share):
            continue
        return Sick(
            f"{one.name} {one.finite().last:.6g} beside {percent(share)} background: a model that answers background everywhere gets {share:.4f}",
            evidence=(
                Measure(f"last {one.name}", float(one.finite().last), None, one.where(len(one) - 1)),
                Measure("accuracy of all-background", round(share, 6), None, f"{len(grids.data)} grids of the data"),
            ),
            innocent="the accuracy is over filled cells only",
            actions=(Action("Log accuracy and loss of the filled cells alone", "a few lines", "measure"),),
        )
    return None


def sick() -> Iterator[Run]:
    """97 % right where 97 % are air."""
    files = made.grids("dataset", [made.tree(i) for i in range(40)]) | made.grids(
        "samples/step_9", [made.tree(90 + i) for i in range(5)]
    )
    yield made.with_files(files, loss=examples.decay(300), val_accuracy=np.linspace(0.8, 0.965, 30))


def healthy() -> Iterator[Run]:
    """An accuracy far above the background's; data without a background."""
    files = made.grids("dataset", [made.tree(i) for i in range(40)]) | made.grids(
        "samples/step_9", [made.tree(90 + i) for i in range(5)]
    )
    yield made.with_files(files, loss=examples.decay(300), val_accuracy=np.linspace(0.8, 0.998, 30))
