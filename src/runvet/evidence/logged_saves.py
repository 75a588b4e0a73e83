"""Where the log stood when each checkpoint was written: by the line that tells of it, and by the time of its file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.checkpoints.model import Checkpoint
from runvet.evidence import Missing, provides
from runvet.evidence.checkpoints import Checkpoints, broken
from runvet.run import FloatArray, Stage

COPIED = 0.2  # files that changed within this share of the logged duration were copied: their times mean nothing
FEWEST = 4  # saves whose times are compared: the zone of the log's clock is unknown, and has to be found first


@dataclass(frozen=True, slots=True)
class LoggedSave:
    """A save, the step inside it, the step at which the log stood, and the line or time that says so."""

    save: Checkpoint
    inside: float
    logged: float
    where: str


@dataclass(frozen=True, slots=True)
class LoggedSaves:
    """`told`: saves that a line of the log tells of. `early`: files older than the log at the step inside them.

    `interval` is the usual number of steps between two points of the log; `timed` says how many times were compared.
    """

    told: tuple[LoggedSave, ...]
    early: tuple[LoggedSave, ...]
    interval: float
    timed: int


@provides
def logged_saves(stage: Stage, checkpoints: Checkpoints) -> LoggedSaves | Missing:
    saves = [s for s in checkpoints.saves if s.file_step is not None and not broken(s)]
    curve = max((s for s in stage.series if s.axis == "step"), key=lambda s: s.total, default=None)
    if curve is None or len(saves) < 2:
        return Missing("fewer than two checkpoints with a step inside, or no logged steps", applicable=False)
    gaps = np.diff(curve.step)
    interval = float(np.median(gaps[gaps > 0])) * curve.stride if (gaps > 0).any() else 1.0
    told = tuple(_told(stage, saves))
    timed, early = _early(saves, curve.step, curve.time)
    if len(told) < 2 and not timed:
        return Missing(
            "no line of the log tells of a checkpoint, and times do not tell", "print path and step at every save", applicable=False
        )  # fmt: skip
    return LoggedSaves(told, early, interval, timed)


def _told(stage: Stage, saves: list[Checkpoint]) -> Iterator[LoggedSave]:
    """The last line that tells of each file; of two files of one name, the one with the longer path in common."""
    lines = {
        re.sub(r"\\", "/", e.value): e
        for e in stage.events
        if e.kind == "checkpoint-saved" and isinstance(e.value, str) and e.step is not None
    }
    for save in saves:
        name = save.path.rpartition("/")[2]
        found = [p for p in lines if p.rpartition("/")[2] == name]
        if not found or save.file_step is None:
            continue
        path = max(found, key=lambda p: _common(p.split("/"), save.path.split("/")))
        step = lines[path].step
        if step is not None:
            yield LoggedSave(save, float(save.file_step), step, lines[path].where)


def _common(a: list[str], b: list[str]) -> int:
    """How many parts two paths share at their ends."""
    return next(
        (i for i, (x, y) in enumerate(zip(reversed(a), reversed(b), strict=False)) if x != y), min(len(a), len(b))
    )


def _early(saves: list[Checkpoint], step: FloatArray, time: FloatArray) -> tuple[int, tuple[LoggedSave, ...]]:
    """How many files' times were compared with the log's, and those that are much too old.

    A file that is too new was copied or touched later, which says nothing.
    """
    known = np.isfinite(time) & np.isfinite(step)
    if known.sum() < 2 or (np.diff(step[known]) <= 0).any() or (np.diff(time[known]) < 0).any():
        return 0, ()
    step, time = step[known], time[known]
    inside = [s for s in saves if s.file_step is not None and step[0] <= s.file_step <= step[-1]]
    duration = float(time[-1] - time[0])
    stamps = np.array([s.modified for s in inside])
    if len(inside) < FEWEST or duration <= 0 or np.ptp(stamps) < COPIED * duration:
        return 0, ()
    expected = np.interp([float(s.file_step or 0) for s in inside], step, time)
    off = stamps - expected
    late = off - float(np.median(off))
    bad = late < -max(0.1 * duration, 600.0)
    if 2 * int(bad.sum()) >= len(inside):
        return 0, ()
    reached = np.interp(stamps - float(np.median(off)), time, step)
    return len(inside), tuple(
        LoggedSave(s, float(s.file_step or 0), float(at), "time of the file")
        for s, at, wrong in zip(inside, reached, bad, strict=True)
        if wrong
    )
