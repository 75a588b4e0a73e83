"""CKPT121 contradicted-step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.logged_saves import LoggedSave, LoggedSaves
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.rules.ckpt._saves import ROWS
from runvet.run import Run, Stage


@rule("CKPT121", "contradicted-step", level="warning", since="0.1")
def contradicted_step(logged: LoggedSaves, *, points: float = 2) -> Sick | Unsure | None:
    """A checkpoint says another step inside than the log does at the time it was written.

    ## What it checks
    The step inside each checkpoint against the step at which the log stood at the line that tells of the save, more
    than `points` logged points apart; another unit, a constant difference or a counter of its own are no contradiction.
    And files that are older than the log at their step: they come from an earlier run.
    ## Why it matters
    A restart continues from weights of another moment, or of another run, with the schedule and data of this one.
    ## What to do
    Compare the loss right after a restart with the log at both steps, and keep each run in a folder of its own.
    ## When to ignore it
    The checkpoints were copied here from another run on purpose.
    ## Known limits
    Files newer than the log says were copied or touched later, which is no finding. It needs steps inside the files.
    ## References
    - kdexd/virtex#18, NVIDIA/cosmos-rl#207.
    """
    wrong = _apart(logged.told, points * logged.interval + 1)
    if wrong:
        last = wrong[-1]
        return _sick(
            wrong,
            f"{len(wrong)} of {len(logged.told)} checkpoints say another step inside than the log when it was written:"
            f" {last.save.path.rpartition('/')[2]} says {num(last.inside)}, the log stood at {num(last.logged)} ({last.where})",
        )
    if logged.early:
        last = logged.early[-1]
        return _sick(
            logged.early,
            f"{len(logged.early)} of {logged.timed} checkpoints are older than their step in the log: {last.save.path.rpartition('/')[2]}"
            f" says step {num(last.inside)} and was written when the log stood near {num(last.logged)}",
        )
    return None


def _apart(told: Sequence[LoggedSave], near: float) -> list[LoggedSave]:
    """Those that contradict the log, unless another unit, a constant or an own counter explains them."""
    if len(told) < 2:
        return []
    inside, logged = (np.array([getattr(t, what) for t in told]) for what in ("inside", "logged"))
    off = inside - logged
    bad = np.abs(off) > near
    if not bad.any() or np.ptp(off) <= near:
        return []
    order = np.argsort(logged, kind="stable")
    ratio = inside[logged > 0] / logged[logged > 0]
    if len(ratio) > 1 and np.ptp(ratio) <= 0.05 * abs(float(np.median(ratio))):
        return []
    rising = bool((np.diff(inside[order]) > 0).all())
    return [t for t, b in zip(told, bad, strict=True) if b] if not rising or 2 * bad.sum() < len(told) else []


def _sick(wrong: Sequence[LoggedSave], message: str) -> Sick:
    return Sick(
        message,
        evidence=tuple(
            m
            for t in wrong[-ROWS // 2 :]
            for m in (
                Measure("step inside", t.inside, None, t.save.path),
                Measure("step in the log", round(t.logged), None, t.where),
            )
        ),
        since_step=float(min(t.inside for t in wrong)),
        innocent="files of another run were copied here on purpose, or the program counts something else inside",
        actions=(
            Action("Before you resume from one of them, compare its evaluation with the log at both steps", "minutes", "measure"),
        ),
    )  # fmt: skip


def _logged(pairs: Sequence[tuple[int, int]]) -> Run:
    """Saves by the step inside, with the step of the log at the line that tells of them."""
    saves = [examples.checkpoint(step, path=f"ckpt/save_{'abcdefgh'[i]}.pt") for i, (step, _) in enumerate(pairs)]
    events = [
        examples.event("checkpoint-saved", f"saved ckpt/save_{'abcdefgh'[i]}.pt", value=f"out/ckpt/save_{'abcdefgh'[i]}.pt", step=float(at), line=i + 1)
        for i, (_, at) in enumerate(pairs)
    ]  # fmt: skip
    stage = examples.stage(loss=examples.decay(200), steps=10 * np.arange(200.0), console=True, events=events)
    return examples.run(stage, checkpoints=saves)


def _timed(*old: int, zone: float = 0.0) -> tuple[Stage, list[Checkpoint]]:
    """A log of ten seconds a step, and saves whose files are of that time; those of `old` two hours older."""
    start = 1.7e9
    stage = examples.stage(loss=examples.decay(1000), times=start + 10 * np.arange(1000.0) + zone)
    saves = [
        replace(c, modified=start + 10 * (c.step or 0) - 7200 * (c.step in old))
        for c in examples.training((200, 400, 600, 800, 900))
    ]
    return stage, saves


def sick() -> Iterator[Run]:
    """A counter that stands still; one save of another run; a file left over from an earlier run."""
    yield _logged([(400, 400), (400, 800), (400, 1200)])
    yield _logged([(400, 400), (800, 800), (90_000, 1200), (1600, 1600)])
    stage, saves = _timed(800)
    yield examples.run(stage, checkpoints=saves)


def healthy() -> Iterator[Run]:
    """Right; counted from another start; in samples; a log in another time zone; copied files, or one touched later."""
    yield _logged([(400, 390), (800, 790), (1200, 1200)])
    yield _logged([(50_400, 400), (50_800, 800), (51_200, 1200)])
    yield _logged([(400 * 32, 400), (800 * 32, 790), (1200 * 32, 1200)])
    stage, saves = _timed(zone=3600.0)
    yield examples.run(stage, checkpoints=saves)
    stage, saves = _timed()
    yield examples.run(stage, checkpoints=[replace(saves[0], modified=saves[0].modified + 90_000), *saves[1:]])
