"""DATA103 duplicate-items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from runvet import examples_artifacts as made
from runvet.artifacts.profile import Profile
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.rules.data._pictures import taken_again
from runvet.run import Run

FILM = re.compile(r"(?i)(?<![a-z])(?:frames?|videos?)(?![a-z])")


@rule("DATA103", "duplicate-items", level="warning", since="0.1")
def duplicate_items(data: DataSets, *, share: float = 0.2, near_share: float = 0.5) -> Iterator[Sick]:
    """Many items of the data are copies of others, exact or nearly so.

    ## What it checks
    The contents of all items that are read. A warning where a fifth of them are copies of another item of the same
    split, or half of them nearly are (pictures: thumbnails within 4 levels; grids: 90 % of the filled cells). Near copies
    that follow each other in the order of names, or whose names speak of frames, are of a film and not counted; constant items are left to
    `constant-items`.
    ## Why it matters
    The data are smaller than they look; copies are learnt by heart, and a random split spreads them over both sides.
    ## What to do
    Count the distinct items, drop the copies before splitting, or say that they are meant as weights.
    ## When to ignore it
    Oversampling of rare classes that was done on purpose.
    ## Known limits
    Turned and mirrored copies are not seen. Data sets larger than 10,000 files are sampled, which hides copies.
    ## References
    - Lee et al. 2022, Deduplicating training data makes language models better, arXiv 2107.06499.
    """
    for found in data.profiles:
        constant = {i.digest for i in found.constant}
        groups = [g for g in found.repeated if g[0].digest not in constant]
        # Copies on both sides of a split are told by `split-overlap`.
        copies = sum(len(g) - len({i.split for i in g}) for g in groups)
        nearly = _near(found) if found.kind in ("pictures", "grids") else 0  # templates make texts near each other
        if len(found.items) >= 20 and (copies >= share * len(found.items) or copies + nearly >= near_share * len(found.items)):  # fmt: skip
            largest = (groups if copies else found.near_copies or groups)[0]
            yield Sick(
                f"{copies} of {len(found.items)} items of {found.name} are exact copies of others ({percent(copies / len(found.items))}), {nearly} more are near copies: {len(found.items) - copies - nearly} are distinct",
                evidence=(
                    Measure("copies", copies, f"of {len(found.items)} items"),
                    Measure("near copies", nearly, f"of {len(found.items)} items"),
                    Measure("largest group of like items", len(largest), "items", largest[0].name),
                    Measure("files read", found.read, f"of {found.files}"),
                ),
                innocent="rare items were repeated on purpose",
                actions=(
                    Action(
                        f"Drop copies before splitting ({len(found.items) - copies - nearly} distinct items are left)",
                        "minutes",
                        "repair",
                    ),
                ),
            )


def _near(found: Profile) -> int:
    """Items that are near others, one of each group not counted; 0 for films, whose neighbours are alike by nature."""
    if found.items and all(FILM.search(i.name) for i in found.items):
        return 0
    place = {i.name: n for n, i in enumerate(found.items)}
    groups = found.near_copies
    steps = [b - a for g in groups for a, b in pairwise(sorted(place[i.name] for i in g))]
    film = bool(steps) and sum(s == 1 for s in steps) >= 0.8 * len(steps)
    return 0 if film else sum(len({i.digest for i in g}) - 1 for g in groups)


def sick() -> Iterator[Run]:
    """Every tree three times; every picture three times with other noise."""
    again = made.pictures("data/train", [taken_again(i % 12, i) for i in range(36)])
    yield made.with_files(again)
    yield made.with_files(made.grids("dataset", [made.tree(i // 3) for i in range(60)]))


def healthy() -> Iterator[Run]:
    """Distinct trees, a few copies; frames of a film."""
    yield made.with_files(made.pictures("data/train", [taken_again(i // 6, i) for i in range(36)], name="frame"))
    yield made.with_files(made.grids("dataset", [made.tree(i) for i in range(60)]))
    yield made.with_files(made.grids("dataset", [made.tree(max(0, i - 3)) for i in range(60)]))
