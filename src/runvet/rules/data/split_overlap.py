"""DATA104 split-overlap."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples_artifacts as made
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("DATA104", "split-overlap", level="critical", since="0.1", explains=("LOSS115",))
def split_overlap(data: DataSets, *, some: float = 0.01, much: float = 0.1) -> Sick | Unsure | None:
    """Items of validation or test stand in the training data too.

    ## What it checks
    Contents of items in folders named train against those in folders named val or test. A warning from one held-out
    item in a hundred on, critical from one in ten.
    ## Why it matters
    Validation then measures memory: the better the copy, the better the number.
    ## What to do
    Remove the shared items from training (not from validation), and split by group (scene, patient, recording).
    ## When to ignore it
    The folders are two views of the same data on purpose.
    ## Known limits
    Exact copies only; neighbours in time are as bad and are not seen here. Sampled data sets hide overlap.
    ## References
    - Kapoor and Narayanan 2023, Leakage and the reproducibility crisis, doi 10.1016/j.patter.2023.100804.
    """
    judged = False
    for found in data.profiles:
        splits = found.splits
        held = splits.get("val", 0) + splits.get("test", 0)
        if not held or not splits.get("train"):
            continue
        judged = True
        constant = {i.digest for i in found.constant}
        shared = [pair for pair in found.overlap if pair[0].digest not in constant]
        if len(shared) >= max(2, some * held):
            share = len(shared) / held
            return Sick(
                f"{len(shared)} of {held} held-out items of {found.name} are in the training data too ({percent(share)})",
                evidence=(
                    Measure("held-out items that training holds", len(shared), f"of {held}", shared[0][0].name),
                    Measure("the same content in training", shared[0][1].name),
                    Measure("training items", splits["train"]),
                    Measure("files read", found.read, f"of {found.files}"),
                ),
                innocent="the folders are two views of the same data on purpose",
                actions=(
                    Action(
                        f"Remove the {len(shared)} shared items from training, and split by group",
                        "a restart",
                        "repair",
                    ),
                ),
                level=None if share >= much else "warning",
            )
    return (
        None
        if judged
        else Unsure("no folders named train and val below the data", "keep the splits in folders train/ and val/")
    )


def sick() -> Iterator[Run]:
    """A fifth of validation in training."""
    train = made.grids("data/train", [made.tree(i) for i in range(60)])
    yield made.with_files(train | made.grids("data/val", [made.tree(i + 56) for i in range(20)]))


def healthy() -> Iterator[Run]:
    """Splits apart."""
    train = made.grids("data/train", [made.tree(i) for i in range(60)])
    yield made.with_files(train | made.grids("data/val", [made.tree(i + 500) for i in range(20)]))
