"""Checkpoints in words, for the rules of this family: names, lists, tables, and which one to keep."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.phrases import listed, told
from runvet.evidence.checkpoints import Checkpoints
from runvet.report import Action, Measure, Number
from runvet.rules import Unsure

__all__ = [
    "DEEP",
    "ROWS",
    "keep",
    "listed",
    "milder",
    "restore_test",
    "steps_of",
    "table",
    "told",
    "unread",
    "weights_in",
]

ROWS = 40  # rows of a table in the evidence; the message counts all
DEEP = "runvet checkpoints PATH --deep"


def table(
    several: Iterable[Checkpoint],
    what: str,
    value: Callable[[Checkpoint], Number | str | None],
    unit: str | None = None,
) -> tuple[Measure, ...]:
    """One row for each checkpoint (up to `ROWS`): which one, its value, its path."""
    rows = list(several)
    shown = rows if len(rows) <= ROWS else [*rows[: ROWS // 2], *rows[-ROWS // 2 :]]
    return tuple(Measure(f"{what}, {told(c)}", value(c), unit, c.path) for c in shown)


def steps_of(several: Iterable[Checkpoint]) -> float | None:
    """The first known step."""
    known = [c.step for c in several if c.step is not None]
    return float(min(known)) if known else None


def weights_in(save: Checkpoint) -> int:
    """How many numbers of the model a checkpoint holds."""
    return sum(t.elements for t in save.tensors if t.role == "model")


def keep(checkpoints: Checkpoints, bad: Sequence[Checkpoint], what: str) -> tuple[Action, ...]:
    """What to do at once where newest saves are bad: stop, and keep what is left."""
    paths = {b.path for b in bad}
    left = [c for c in checkpoints.usable if c.path not in paths]
    if checkpoints.saves[-1].path not in paths:
        return ()
    if not left:
        return (Action(f"Stop the run: {what}, and no other checkpoint is usable", "now, free", "stop"),)
    others = f" (and {listed(left[:-1], checkpoints.saves)})" if left[:-1] else ""
    return (
        Action(
            f"Stop the run and keep the checkpoint of {listed(left[-1:], checkpoints.saves)}{others}: {what}",
            "now, free",
            "stop",
        ),
    )


def milder(checkpoints: Checkpoints, bad: Sequence[Checkpoint]) -> bool:
    """Whether the newest save is in order and most others are, too: something happened once, and it is over."""
    return checkpoints.saves[-1].path not in {b.path for b in bad} and 2 * len(bad) < len(checkpoints.saves)


def restore_test(checkpoints: Checkpoints) -> tuple[Action, ...]:
    """What proves that saving is repaired: a short training, a restart, a comparison; its length is the run's own interval."""
    steps = sorted({c.step for c in checkpoints.saves if c.step is not None})
    gaps = sorted(b - a for a, b in itertools.pairwise(steps))
    if gaps:
        usual = gaps[len(gaps) // 2]
        train = f"Train {usual // 2:,} to {usual:,} steps" if usual >= 20 else f"Train {usual:,} steps"
    else:
        train = "Train to the next save"
    text = f"{train}, save, restore in a new process, compare weights and loss with those before, and run `runvet check` again"
    return (Action(text, "one interval between saves", "measure"),)


def unread(checkpoints: Checkpoints) -> Unsure:
    """The values were not read, and the rule needs them."""
    missing = checkpoints.unread
    if not checkpoints.unscanned:
        read = f"the values of {len(checkpoints.saves) - missing:,} of {len(checkpoints.saves):,} checkpoints were read, evenly chosen"
        return Unsure(f"{read}, and all are in order", DEEP)
    size = sum(c.bytes for c in checkpoints.saves)
    return Unsure(f"the values of {missing} checkpoints ({size / 1e9:.3g} GB in all) were not read", DEEP)
