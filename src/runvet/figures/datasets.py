"""The figures of data sets that were profiled: what they look like, what is wrong, how two differ."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runvet.artifacts.model import Artifacts
from runvet.artifacts.profile import Profile
from runvet.figures import items
from runvet.report import Figure, plain

BUDGET = 3_500_000  # bytes of all figures of a page as JSON


def of(sets: Sequence[tuple[Profile, Artifacts]], *, budget: int = BUDGET) -> list[list[Figure]]:
    """For each set its faults and a spread of its items, within a budget that the sets share."""
    out: list[list[Figure]] = []
    for place, (one, artifacts) in enumerate(sets):
        share, kept = budget // (len(sets) - place), []
        for figure in (*items.of_faults(one, artifacts), *items.spread(one, artifacts)):
            size = len(orjson.dumps(plain(figure.data)))
            if size <= share:
                kept.append(figure)
                share -= size
                budget -= size
            else:
                kept.append(Figure("note", title=figure.title, note="left out to keep the file small"))
        out.append(kept)
    return out


def beside(first: tuple[Profile, Artifacts], second: tuple[Profile, Artifacts]) -> list[Figure]:
    """Two sets beside each other: items in one figure, their numbers in the same bins."""
    shown = items.beside(("here", *first), ("there", *second))
    return [*shown, *items.numbers("In numbers", [("here", first[0]), ("there", second[0])])]
