"""DATA102 constant-items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.measuring import One
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("DATA102", "constant-items", level="critical", since="0.1")
def constant_items(data: DataSets, *, some: float = 0.02, most: float = 0.5) -> Iterator[Sick]:
    """Items of the data hold one single value: empty grids, blank pictures, silent recordings.

    ## What it checks
    Every item that is read. A warning from one item in fifty on, critical where it is every second one.
    ## Why it matters
    Such items teach the model that nothing is a good answer, and lower the loss while they do.
    ## What to do
    Look at the first of them; drop them, or repair what wrote them.
    ## When to ignore it
    Masks and labels that are truly empty.
    ## Known limits
    Files named as masks are not looked at, nor pictures of two values in all, some of which hold something. Large data sets are sampled evenly.
    ## References
    - Masks that are empty because they are missing: dvornikita/blitznet#31.
    """
    for found in data.profiles:
        constant = found.constant
        share = len(constant) / len(found.items) if found.items else 0.0
        if found.kind == "pictures" and _masks(found.items):
            continue
        if len(found.items) >= 10 and share >= some and len(constant) >= 2:
            yield Sick(
                f"{len(constant)} of {len(found.items)} items of {found.name} hold one single value ({percent(share)})",
                evidence=(
                    Measure("items of one single value", len(constant), f"of {len(found.items)}", constant[0].name),
                    Measure("that value in the first of them", constant[0].low),
                    Measure("files read", found.read, f"of {found.files}"),
                ),
                innocent="these items are truly empty, and the model is to learn that",
                actions=(
                    Action(
                        f"Look at {constant[0].name} and drop or repair the {len(constant)} items like it",
                        "minutes",
                        "repair",
                    ),
                ),
                level=None if share >= most else "warning",
            )


def _masks(items: Sequence[One]) -> bool:
    """Whether all pictures that hold anything hold the same two values: then their variance is the largest there can be."""
    told = [i for i in items if i.low < i.high]
    if not told or len({(i.low, i.high) for i in told}) > 1:
        return False
    return all(np.isclose(i.sd**2, (i.mean - i.low) * (i.high - i.mean), rtol=1e-3) for i in told)


def sick() -> Iterator[Run]:
    """Empty grids among trees; pictures of which most are black."""
    trees = [made.tree(i) for i in range(40)] + [np.zeros((12, 12, 12), np.uint8)] * 4
    yield made.with_files(made.grids("dataset", trees))
    yield made.with_files(
        made.pictures("data/train", [made.scene(i) if i % 3 == 0 else made.plain((0, 0, 0)) for i in range(30)])
    )


def healthy() -> Iterator[Run]:
    """Items that all hold something; one empty item of sixty; masks of rare defects."""
    spot = np.zeros((32, 32), np.uint8)
    spot[4:9, 4:9] = 255
    yield made.with_files(made.pictures("data/truth", [spot if i % 4 == 0 else np.zeros_like(spot) for i in range(40)]))
    yield made.with_files(made.grids("dataset", [made.tree(i) for i in range(40)]))
    yield made.with_files(made.pictures("data/train", [made.scene(i) for i in range(60)] + [made.plain((0, 0, 0))]))
