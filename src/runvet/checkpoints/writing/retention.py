"""Which checkpoints may go: a pure function, so that what it never does can be proved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["down", "up"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint: its name, its step, when it was written, the metric that chooses the best, whether it is whole.

    `created` and not the step says which is the last: a run that went back to an older one writes lower steps again.
    A metric that is None or not finite was not measured.
    """

    name: str
    step: int
    created: float
    metric: float | None = None
    good: bool = True


def best(entries: Iterable[Entry], direction: Direction) -> Entry | None:
    """The good entry with the best metric, the latest of equals; None where none was measured."""
    measured = [e for e in entries if e.good and e.metric is not None and abs(e.metric) < float("inf")]
    sign = 1.0 if direction == "up" else -1.0
    return max(measured, key=lambda e: (sign * (e.metric or 0.0), e.created), default=None)


def superfluous(
    entries: Iterable[Entry],
    *,
    keep_last: int | None,
    keep_every: int | None = None,
    direction: Direction | None = None,
) -> list[Entry]:
    """The entries that may be deleted, oldest first.

    Kept are the last `keep_last` good ones (None: all), those at multiples of `keep_every` steps, the best by metric,
    and everything that isn't good: it is evidence, and takes the place of none. At least one good one always stays.
    """
    if keep_last is None:
        return []
    good = sorted((e for e in entries if e.good), key=lambda e: (e.created, e.step, e.name))
    kept = set(good[-max(1, keep_last) :])
    if keep_every:
        kept.update(e for e in good if e.step % keep_every == 0)
    if direction is not None and (top := best(good, direction)) is not None:
        kept.add(top)
    return [e for e in good if e not in kept]
