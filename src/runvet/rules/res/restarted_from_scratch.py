"""RES110 restarted-from-scratch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.evidence.events import Plan
from runvet.evidence.launches import ANEW, Launch, Launches, begins_again, same_schedule, same_settings, way_back
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import Stage

NEVER = 3  # launches that all began from scratch: such a job does not come to its end
COMPLETE = 0.95  # of the plan: a last launch that came so far makes up for those before
FURTHER = 1.1  # times the longest launch before: one that came so much further may get there


@rule("RES110", "restarted-from-scratch", level="critical", since="0.1", explains=("RES105",))
def restarted_from_scratch(
    stage: Stage, launches: Launches, plan: Plan | None, *, share: float = 0.15, alone: float = 0.5
) -> Sick | None:
    """A job that is killed and started again begins from step 0 each time.

    ## What it checks
    Launches of one run (in one log, or in job outputs of which times, words or the job's number say that one followed
    the other) that were killed from outside (time limit, preemption, `Killed`) and followed by one whose steps and
    loss begin where the first began, under the same schedule. A finding where the steps lost that way are more than
    `share` of the plan (without a plan: more than `alone` of the longest launch). Critical where three launches or
    more began from scratch, and none came much further than those before; otherwise a warning. Nothing is said where
    the last launch came to its end. Files of ranks, array
    tasks, folds and trials stand beside each other and are left alone.
    ## Why it matters
    The budget is spent on the same first steps again and again. A job whose time limit is shorter than its training
    never comes to its end.
    ## What to do
    Stop the job. Save before the limit, and let the program look for its newest checkpoint when it starts: the folder
    must not depend on the job's number or the date. Try it once: kill it by hand, start it again.
    ## When to ignore it
    It was set up anew on purpose, after a change that the log does not show.
    ## Known limits
    Needs words that tell of the kill. Restarts with another learning rate or other settings count as another run,
    and job outputs without times of which nothing says that they followed each other as parallel jobs.
    ## References
    - Failure reports: EveryVoiceTTS/EveryVoice#183, FAIR-Chem/fairchem#803, Lightning-AI/pytorch-lightning#4265.
    """
    lost = [old for old, new in launches.pairs if _again(old, new) and same_settings(stage, old, new)]
    if not lost:
        return None
    axis = lost[0].part.axis
    steps = sum(one.end - min(one.begin, 0.0) for one in lost)
    furthest = max(one.end for one in launches.launches)
    planned = None if plan is None else plan.steps if axis == "step" else plan.epochs
    last = launches.launches[-1]
    if last.finished or (planned and last.end >= COMPLETE * planned):
        return None
    if steps <= (share * planned if planned else alone * furthest):
        return None
    return _report(launches, lost, steps, furthest, planned)


def _again(old: Launch, new: Launch) -> bool:
    """Whether a launch was killed and the next began from scratch with the same schedule."""
    if old.killed is None or old.finished or new.resumed is not None or not begins_again(old, new):
        return False
    gone = way_back(old, new)
    return gone is not None and gone > ANEW and same_schedule(old, new) is not False


def _report(launches: Launches, lost: Sequence[Launch], steps: float, furthest: float, planned: float | None) -> Sick:
    last = launches.launches[-1]
    axis = last.part.axis
    stuck = last.end <= FURTHER * max(one.end for one in lost) and not last.finished
    of_plan = f" of {num(planned)} planned" if planned else ""
    times = "once" if len(lost) == 1 else f"{len(lost)} times"
    words = next((one.scratch for one in launches.launches[1:] if one.scratch is not None), None)
    return Sick(
        f"{times} a killed launch was followed by one that began from scratch: {num(steps)} {axis}s were lost; the"
        f" furthest of {len(launches.launches)} came to {place(axis, furthest)}{of_plan}",
        evidence=(
            *(
                Measure(f"killed at {place(one.part.axis, one.end)}", one.killed.text[:120], None, one.killed.where)
                for one in lost[-4:]
                if one.killed is not None
            ),
            Measure(f"{launches.series} at the start of the last launch", last.first, None, last.part.where(0)),
            *((Measure("told by the program", words.text[:120], None, words.where),) if words is not None else ()),
        ),
        since_step=since(lost[0].part, lost[0].end),
        innocent="it was set up anew on purpose, after a change that the log does not show",
        actions=(
            Action(
                "Stop the job; save before the limit, load the newest checkpoint at the start, and try a kill by hand",
                f"{percent(steps / planned)} of the plan lost so far" if planned else "what the last launch trained",
                "stop" if stuck else "repair",
            ),
        ),
        window=span(last.part, last.begin, last.end),
        level=None if stuck and len(launches.launches) >= NEVER and len(lost) >= NEVER - 1 else "warning",
    )


LIMIT = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2025-03-04T12:00:00 DUE TO TIME LIMIT ***"


def _launched(
    lengths: Sequence[int], *, begin: Sequence[int] | None = None, killed: bool = True, rate: float = 1.0
) -> Stage:
    """Launches in one log; each but the last is killed. `rate` is what the learning rate is multiplied with each time."""
    starts = begin or [0] * len(lengths)
    full, curve = examples.cosine(3000), examples.decay(3000, start=6.0)
    steps = [s for a, n in zip(starts, lengths, strict=True) for s in range(a, a + n)]
    parts = [slice(a, a + n) for a, n in zip(starts, lengths, strict=True)]
    noise = np.random.default_rng(2).normal(1.0, 0.01, len(steps))
    ends = np.cumsum(lengths)[:-1]
    told = [examples.event("killed", LIMIT, line=int(end)) for end in ends] if killed else []
    stage = examples.stage(
        console=True,
        steps=steps,
        loss=np.concatenate([curve[p] for p in parts]) * noise,
        lr=np.concatenate([full[p] * rate**i for i, p in enumerate(parts)]),
        settings={"max_steps": 3000},
        events=told,
    )
    # the line of the kill is one of its own, after the last point
    return replace(
        stage,
        series=tuple(replace(s, line=s.line + 2 * s.segment) for s in stage.series),
        events=tuple(replace(e, line=e.line + 2 * i + 1) for i, e in enumerate(stage.events)),
    )


def sick() -> Iterator[Stage]:
    """Four launches to the same time limit, and two of which the second came further."""
    yield _launched([1000, 1000, 1010, 990])
    yield _launched([1400, 1700])


def healthy() -> Iterator[Stage]:
    """Resumed after each kill, folds that nobody killed, another learning rate, a kill soon after the start, and a last
    launch that came to its end.
    """
    yield _launched([1000, 1100, 1000], begin=[0, 900, 2000])
    yield _launched([1000, 1000, 1000], killed=False)
    yield _launched([1000, 1000, 1000], rate=0.3)
    yield _launched([60, 2000])
    yield _launched([1400, 3000])
