"""LOG108 unreadable-part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from runvet import examples
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Problem, Run

LOST = re.compile(r"damaged|skipped|stopped|too large|checksum|crc|NUL bytes|end early|cannot be parsed", re.IGNORECASE)
# A file that was cut off or is still growing loses its last line only; configurations hold no points.
SPARED = re.compile(r"\bkept\b|half written|not finished|passed over|configuration", re.IGNORECASE)


@rule("LOG108", "unreadable-part", level="warning", since="0.1")
def unreadable_part(run: Run) -> Sick | None:
    """Part of a log could not be read, and points are lost.

    ## What it checks
    What the readers could not read. A warning where records in the middle of a file are damaged or were skipped;
    a last line that is not finished, and a file that was cut off behind its last complete record, are spared.
    ## Why it matters
    Whatever happened in the lost part was not judged.
    ## What to do
    Copy the file again from where it was written, and compare sizes. If the original is damaged too, the disk or
    the network share under it needs a look.
    ## When to ignore it
    The same points stand in another file of the run.
    ## Known limits
    How many points a damaged part held is unknown.
    ## References
    - The TFRecord framing and its checksums: https://www.tensorflow.org/tutorials/load_data/tfrecord
    """
    lost = [p for p in run.problems if LOST.search(p.why) and not SPARED.search(p.why)]
    if not lost:
        return None
    first = lost[0]
    more = f"; {len(lost) - 1} more places" if len(lost) > 1 else ""
    return Sick(
        f"{first.where}: {first.why}{more}",
        evidence=tuple(Measure("could not be read", p.why, None, p.where) for p in lost[:5]),
        innocent="the file was being copied or written while it was read",
        actions=(Action(first.remedy or f"Copy {first.source} again from where it was written", "minutes", "repair"),),
    )


def _run(*problems: Problem) -> Run:
    return replace(examples.run(examples.stage(train_loss=examples.decay(200))), problems=problems)


def sick() -> Iterator[Run]:
    """A damaged record, and a reader that had to stop."""
    yield _run(Problem("events.out.tfevents.1", "record 7: the checksum is wrong; skipped", 7))
    yield _run(Problem("train.log", "reading stopped: OSError: Input/output error"))


def healthy() -> Iterator[Run]:
    """Nothing lost, and files that are cut off or still grow."""
    yield _run()
    yield _run(Problem("train.log", "the last line is not finished and was left out", 152))
    yield _run(Problem("trainer_state.json", "the file is damaged or cut off; every complete row before that is kept"))
