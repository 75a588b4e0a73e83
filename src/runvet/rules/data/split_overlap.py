"""DATA104 split-overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.measuring import One
from runvet.artifacts.model import Array
from runvet.artifacts.profile import Profile
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.rules.data._pictures import taken_again
from runvet.run import Run
from runvet.statistics.proportions import fisher_greater


@rule("DATA104", "split-overlap", level="critical", since="0.1", explains=("LOSS115",))
def split_overlap(data: DataSets, *, some: float = 0.01, much: float = 0.1, near: float = 0.2) -> Sick | Unsure | None:
    """Items of validation or test stand in the training data too.

    ## What it checks
    Contents of items in folders (or rows and records in files) named train against those named val or test. A warning
    from one held-out item in a hundred on, critical from one in ten; of texts only where training repeats itself half as
    often at most. A warning where one held-out item in five is nearly the same as a training item: pictures (thumbnails
    within 4 levels), and grids, arrays and texts where training items are near each other half as often at most.
    ## Why it matters
    Validation then measures memory: the better the copy, the better the number.
    ## What to do
    Remove the shared items from training (not from validation), and split by group (scene, patient, recording).
    ## When to ignore it
    The folders are two views of the same data on purpose.
    ## Known limits
    Turned and mirrored copies are not seen. Sampled data sets hide overlap.
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
        close = found.near_overlap
        if len(shared) >= max(2, some * held) and not (found.kind == "texts" and _natural(found, len(shared), held)):
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
        if len(close) >= max(3, near * held) and (found.kind == "pictures" or _nearer(found, len(close), held)):
            return _nearly(found, close, held)
    return (
        None
        if judged
        else Unsure("no folders named train and val below the data", "keep the splits in folders train/ and val/")
    )


def _nearer(found: Profile, close: int, held: int) -> bool:
    """Whether held-out items are near training items far more often than those are near each other.

    Simple grids (a trunk with leaves), texts of one template and short paths are near each other by nature.
    """
    n = found.splits["train"]
    alike = round(found.near_in_train * n)
    return close * n >= 2 * alike * held and fisher_greater(close, held, alike, n) < 0.01


def _natural(found: Profile, shared: int, held: int) -> bool:
    """Whether training repeats itself half as often as it repeats held-out items: sentences of few words, one template."""
    inside = [sum(i.split == "train" for i in group) for group in found.repeated]
    expected = held * sum(k for k in inside if k > 1) / found.splits["train"]
    return shared < 2 * expected or shared - expected < 3 * math.sqrt(expected + 1)  # three deviations of a count


def _nearly(found: Profile, close: Sequence[tuple[One, One]], held: int) -> Sick:
    return Sick(
        f"{len(close)} of {held} held-out items of {found.name} are nearly the same as items of the training data ({percent(len(close) / held)})",
        evidence=(
            Measure("held-out items near a training item", len(close), f"of {held}", close[0][0].name),
            Measure("the training item near the first", close[0][1].name),
            Measure("files read", found.read, f"of {found.files}"),
        ),
        innocent="all items are nearly the same by nature, held-out ones as well",
        actions=(Action("Split by group (recording, scene, source) instead of by item, and validate again", "a restart", "repair"),),
        level="warning",
    )  # fmt: skip


def _without(grid: Array, cells: int) -> Array:
    """The grid with its first few filled cells emptied."""
    out: Array = grid.copy()
    out.ravel()[np.flatnonzero(grid)[:cells]] = 0
    return out


def sick() -> Iterator[Run]:
    """A fifth of validation in training; frames of one film on both sides; scattered grids with three cells changed."""
    scattered = [made.scattered(i, 200) for i in range(60)]
    yield made.with_files(
        made.grids("data/train", scattered) | made.grids("data/val", [_without(g, 3) for g in scattered[:12]])
    )
    film = made.pictures("data/train", [taken_again(i // 3, i) for i in range(60)])
    yield made.with_files(film | made.pictures("data/val", [taken_again(i, 100 + i) for i in range(12)]))
    train = made.grids("data/train", [made.tree(i) for i in range(60)])
    yield made.with_files(train | made.grids("data/val", [made.tree(i + 56) for i in range(20)]))


def healthy() -> Iterator[Run]:
    """Splits apart, of grids and of pictures."""
    apart = made.pictures("data/train", [made.scene(i) for i in range(60)])
    yield made.with_files(apart | made.pictures("data/val", [made.scene(100 + i) for i in range(20)]))
    train = made.grids("data/train", [made.tree(i) for i in range(60)])
    yield made.with_files(train | made.grids("data/val", [made.tree(i + 500) for i in range(20)]))
