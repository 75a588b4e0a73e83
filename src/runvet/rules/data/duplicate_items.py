"""DATA103 duplicate-items."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples_artifacts as made
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("DATA103", "duplicate-items", level="warning", since="0.1")
def duplicate_items(data: DataSets, *, share: float = 0.2) -> Iterator[Sick]:
    """Many items of the data are exact copies of others.

    ## What it checks
    The contents of all items that are read. A warning where a fifth of them are copies of another item of the same
    split; constant items are left to `constant-items`.
    ## Why it matters
    The data are smaller than they look; copies are learnt by heart, and a random split spreads them over both sides.
    ## What to do
    Count the distinct items, drop the copies before splitting, or say that they are meant as weights.
    ## When to ignore it
    Oversampling of rare classes that was done on purpose.
    ## Known limits
    Only exact copies are counted. Data sets larger than 2,000 files are sampled, which hides copies.
    ## References
    - Lee et al. 2022, Deduplicating training data makes language models better, arXiv 2107.06499.
    """
    for found in data.profiles:
        constant = {i.digest for i in found.constant}
        groups = [g for g in found.repeated if g[0].digest not in constant]
        copies = sum(len(g) - 1 for g in groups)
        if len(found.items) >= 20 and copies >= share * len(found.items):
            largest = groups[0]
            yield Sick(
                f"{copies} of {len(found.items)} items of {found.name} are exact copies of others ({percent(copies / len(found.items))}): {len(found.items) - copies} are distinct",
                evidence=(
                    Measure("copies", copies, f"of {len(found.items)} items"),
                    Measure("largest group of equal items", len(largest), "items", largest[0].name),
                    Measure("files read", found.read, f"of {found.files}"),
                ),
                innocent="rare items were repeated on purpose",
                actions=(
                    Action(
                        f"Drop exact copies before splitting ({len(found.items) - copies} distinct items are left)",
                        "minutes",
                        "repair",
                    ),
                ),
            )


def sick() -> Iterator[Run]:
    """Every tree three times."""
    yield made.with_files(made.grids("dataset", [made.tree(i // 3) for i in range(60)]))


def healthy() -> Iterator[Run]:
    """Distinct trees, a few copies."""
    yield made.with_files(made.grids("dataset", [made.tree(i) for i in range(60)]))
    yield made.with_files(made.grids("dataset", [made.tree(max(0, i - 3)) for i in range(60)]))
