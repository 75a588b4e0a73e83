"""CKPT122 last-step-not-saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import stem, words
from runvet.evidence.checkpoints import BEST, LATEST, Checkpoints, broken
from runvet.evidence.events import Events, Plan
from runvet.evidence.seams import lead_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent
from runvet.rules.ckpt._saves import told
from runvet.run import Run, Series, Stage


@rule("CKPT122", "last-step-not-saved", level="warning", since="0.1")
def last_step_not_saved(
    stage: Stage,
    checkpoints: Checkpoints,
    events: Events,
    plan: Plan | None,
    *,
    least: float = 0.01,  # share of the training that is in no checkpoint
    fewest: float = 3,  # saves, evenly spaced, that tell the interval
) -> Sick | Unsure | None:
    """Training ran to its end, and its end is in no checkpoint.

    ## What it checks
    Checkpoints at even distances in steps against the last step of a training that reached its plan or says that it is
    finished: a finding where the newest one is at most one distance, but at least `least` of the training, older.
    Spared are runs that keep a final, last or best checkpoint as well, and those that still run.
    ## Why it matters
    A schedule that ends near zero gives most of its gain in the last steps. They were paid for, the curves show them,
    and the weights that are used do not have them.
    ## What to do
    Save once more after the loop. Meanwhile resume from the newest checkpoint and train the rest.
    ## When to ignore it
    The final weights are kept in another place.
    ## Known limits
    Without a known plan or a line that says that training is finished, the end is not known and nothing is said.
    Checkpoints that are numbered in another unit than the log are left alone.
    ## References
    - AlmondGod/tinyworlds: saves at every 2,500th of 40,000 steps, counted from 0, so that the newest is of step 37,500.
    """
    lead = lead_of(stage)
    if lead is None or lead.axis != "step" or ((plan is None or not plan.steps) and not events.of("finished")):
        return Unsure("whether training has ended is not known", "planned_steps = … in runvet.toml", applicable=False)
    end = _end(lead, plan, events)
    if any(_named(c) & LATEST for c in checkpoints.saves) or any(_named(c) & LATEST for c, _ in checkpoints.copies):
        return None
    counted = [c for c in checkpoints.saves if c.step is not None and not broken(c) and not _named(c) & BEST]
    if len(counted) != len([c for c in checkpoints.saves if not broken(c)]):
        return None  # best ones, or saves that do not say when: the end may be among them
    interval = _interval(counted, int(fewest))
    if interval is None or end is None:
        return None
    newest = counted[-1]
    lost = end - float(newest.step or 0)
    if not least * end <= lost <= interval or lost <= _spacing(lead):
        return None
    return _found(newest, lost, end, lead, plan)


def _end(lead: Series, plan: Plan | None, events: Events) -> float | None:
    """How many steps were trained by a training that has ended; None where it may go on."""
    last = float(np.nanmax(lead.step))
    if plan is not None and plan.steps and last + max(_spacing(lead), 1.0) >= plan.steps:
        return plan.steps
    return last if events.of("finished") else None


def _spacing(lead: Series) -> float:
    """The usual number of steps between two points of the log."""
    gaps = np.diff(lead.step[np.isfinite(lead.step)])
    return float(np.median(gaps[gaps > 0])) * lead.stride if (gaps > 0).any() else 1.0


def _interval(saves: Sequence[Checkpoint], fewest: int) -> float | None:
    """The distance of saves in steps where nearly all are equally far apart (older ones may have been thinned out)."""
    steps = np.unique([float(s.step or 0) for s in saves])
    if len(steps) < fewest:
        return None
    gaps = np.diff(steps)
    usual = float(np.median(gaps))
    multiple = gaps / usual
    even = bool((np.abs(multiple - np.round(multiple)) < 0.02).all() and gaps[-1] <= 1.02 * usual)
    return usual if even else None


def _named(checkpoint: Checkpoint) -> frozenset[str]:
    return frozenset(words(stem(checkpoint.path.rpartition("/")[2])))


def _found(newest: Checkpoint, lost: float, end: float, lead: Series, plan: Plan | None) -> Sick:
    step = float(newest.step or 0)
    return Sick(
        f"the newest checkpoint is of step {num(step)}, and training went on to {num(end)}: the last {num(lost)} steps"
        f" ({percent(lost / end)}) are in no checkpoint",
        evidence=(
            Measure("newest checkpoint", told(newest), None, newest.path),
            Measure("last step of the log", float(lead.x()[-1]), "steps", lead.where(-1)),
            *((Measure("steps planned", plan.steps, "steps", plan.source),) if plan is not None and plan.steps else ()),
        ),
        since_step=step,
        innocent="the final weights are kept in another place",
        actions=(
            Action(f"Resume from step {num(step)} and train the last {num(lost)} steps again", f"{num(lost)} steps", "repair"),
            Action("Save once more after the last step", "one line", "change"),
        ),
    )  # fmt: skip


def _run(saves: Sequence[int], *, steps: int = 4_000, planned: int | None = 4_000, **more: object) -> Run:
    settings = {} if planned is None else {"max_steps": planned}
    stage = examples.stage(loss=examples.decay(steps), settings=settings, **more)  # type: ignore[arg-type]
    return examples.run(stage, checkpoints=examples.training(saves))


def sick() -> Iterator[Run]:
    """Saves counted from 0, so that the last interval is lost; a training that says that it is finished."""
    yield _run(range(0, 4_000, 250))
    yield _run((900, 1_800, 2_700, 3_600))
    done = [examples.event("finished", "Training complete", line=4_001)]
    yield _run((1_000, 2_000, 3_000), steps=3_900, planned=None, events=done, console=True)


def healthy() -> Iterator[Run]:
    """Saved at the end; still running; a final one beside; uneven; numbered by epochs; too little to matter."""
    yield _run(range(500, 4_001, 500))
    yield _run(range(499, 4_000, 500))
    yield _run(range(0, 3_001, 500), steps=3_300)
    stage = examples.stage(loss=examples.decay(4_000), settings={"max_steps": 4_000})
    saves = examples.training((1_000, 2_000, 3_000))
    for name in ("model_final.pt", "last.pt"):
        last = examples.checkpoint(None, examples.checkpoint_weights(4_000), path=f"checkpoints/{name}")
        yield examples.run(stage, checkpoints=[*saves, last])
    yield examples.run(stage, checkpoints=[*saves, examples.checkpoint(3_300, path="checkpoints/best_{step}.pt")])
    yield _run((700, 1_500, 3_800))
    yield _run(range(1, 31))
    yield _run(range(0, 3_991, 133))
