"""RES105 stopped-early."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.counters import CounterRestarts
from runvet.evidence.events import Events, Plan
from runvet.evidence.seams import lead_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import duration, num, percent, since
from runvet.run import Series, Stage

STOPPING = re.compile(r"early[ _-]?stop|patience|stopped early|target (?:reached|met)|converged", re.IGNORECASE)
TARGETS = re.compile(
    r"early_?stop|patience$|(?:accuracy|quality|eval|metric|stop\w*)_(?:threshold|target)$"
    r"|(?:^|[._])target_(?:accuracy|acc|metric|quality|bleu|map|loss|score|reward)$"
)
GROWING = 600.0  # seconds since the last change of a log within which a run counts as running
UNIX = 1e8  # times beyond this count from 1970


@rule("RES105", "stopped-early", level="warning", since="0.1")
def stopped_early(
    stage: Stage,
    plan: Plan,
    events: Events,
    counters: CounterRestarts | None,
    *,
    least: float = 0.5,
    most: float = 0.95,
) -> Sick | Unsure | None:
    """The run ended before its planned steps or epochs.

    ## What it checks
    The last step or epoch against the plan (configuration, or `Epoch 3/100` in the log): a finding where between
    `least` and `most` of the plan was done. Spared are runs that say that they are finished or stopped by a rule
    (early stopping, patience, a target), runs whose log still grows, and trainer states, which are snapshots. Where a
    restart let the count begin anew (see `restarted-counter`), what was trained before it is added. Below `least` the plan was an upper bound or the run a trial: nothing is said.
    ## Why it matters
    With a schedule that ends at zero, most of the quality comes in its last part; a run that died looks like a run
    that converged.
    ## What to do
    Look at the end of the log for the cause, then resume from the last complete checkpoint, or shorten the plan so
    that the schedule ends where the run does.
    ## When to ignore it
    It was stopped by hand because it was good enough, or the log is an excerpt.
    ## Known limits
    The log's own last change decides whether a run is still running; a copied log carries the time of the copy.
    ## References
    - Failure reports: GuHuangAI/ADM-Public#14, LTX-Video-Trainer#67.
    """
    if all(log.reader == "trainer_state" for log in stage.logs if log.series):
        return Unsure("a trainer state is a snapshot of a run that may go on", "keep the program's output")
    series = lead_of(stage)
    reached = None if series is None else _reached(series, plan, stage)
    if series is None or reached is None:
        return Unsure("the axis of the log can not be compared with the plan", "log step and epoch")
    done, planned, unit = reached
    before = counters.uncounted if counters is not None and counters.pairs and unit == series.axis else 0.0
    done += before
    if not least <= done / planned < most:
        return None
    if events.of("finished") or any(STOPPING.search(e.text) for e in events.events) or _patience(stage):
        return None
    age = _age(stage, series)
    if age < GROWING:
        return Unsure(f"the log changed {duration(max(age, 1.0))} ago: the run may still be running", "")
    at = float(series.x()[-1])
    return Sick(
        f"ended after {num(done)} of {num(planned)} planned {unit}s ({percent(done / planned)})"
        + (f", {num(before)} of them before the count began anew" if before else ""),
        evidence=(
            Measure(f"{unit}s done", done, f"{unit}s", series.where(-1)),
            Measure(f"{unit}s planned", planned, f"{unit}s", plan.source),
        ),
        since_step=since(series, at),
        innocent="it was stopped by hand because it was good enough, or the log is an excerpt",
        actions=(
            Action(
                f"Find why it ended at {unit} {num(done)}, then resume to {num(planned)}"
                " or end the schedule where the run ends",
                f"{num(planned - done)} {unit}s",
                "measure",
            ),
        ),
    )


def _reached(series: Series, plan: Plan, stage: Stage) -> tuple[float, float, str] | None:
    """How much was done of how much, and of what; the larger share where both steps and epochs are planned.

    Steps count where any curve of the same files has them: a loss may be missing at the end.
    """
    found = []
    beside = [s for s in stage.series if s.files == series.files and s.axis == series.axis]
    steps = np.concatenate([s.step for s in beside])
    for axis, planned, unit in ((series.epoch, plan.epochs, "epoch"), (steps, plan.steps, "step")):
        known = axis[np.isfinite(axis)]
        if planned and len(known):
            done = float(known.max())
            whole = unit == "epoch" and np.array_equal(known, np.round(known))
            found.append((done + 1 if whole and known.min() == 0 else done, planned, unit))
    if not found and plan.epochs and series.axis == "step" and series.x()[-1] == len(series) <= plan.epochs:
        found.append((float(len(series)), plan.epochs, "epoch"))  # one point an epoch, counted as steps
    return max(found, key=lambda f: f[0] / f[1]) if found else None


def _patience(stage: Stage) -> bool:
    """Whether the configuration speaks of stopping early, or at a target."""
    return any(
        TARGETS.search(s.key.lower().replace("-", "_")) and s.value not in (None, False, 0, "", "None", "null")
        for s in stage.settings
    )


def _age(stage: Stage, series: Series) -> float:
    """Seconds since the run last wrote: by its own time stamps, else by the change of its files; inf if unknown."""
    stamps = series.time[np.isfinite(series.time)]
    if len(stamps) and stamps[-1] > UNIX:
        return time.time() - float(stamps.max())
    changed = max((log.modified for log in stage.logs), default=0.0)
    return time.time() - changed if changed > 0 else math.inf


def sick() -> Iterator[Stage]:
    """7 of 10 epochs, and 60 % of the planned steps."""
    epochs = np.repeat(np.arange(1.0, 8.0), 20)
    yield examples.stage(train_loss=examples.decay(140), epochs=epochs, settings={"epochs": 10})
    yield examples.stage(train_loss=examples.decay(600), settings={"max_steps": 1000})


def healthy() -> Iterator[Stage]:
    """Complete, counted from 0, stopped by patience, finished, and a plan that was only a bound."""
    yield examples.stage(train_loss=examples.decay(1000), settings={"max_steps": 1000})
    yield examples.stage(train_loss=examples.decay(100), epochs=np.repeat(np.arange(10.0), 10), settings={"epochs": 10})
    stopped = examples.event("best", "EarlyStopping counter: 10 out of 10")
    yield examples.stage(loss=examples.decay(700), settings={"max_steps": 1000}, events=[stopped], console=True)
    done = examples.event("finished", "Training complete")
    yield examples.stage(loss=examples.decay(700), settings={"max_steps": 1000}, events=[done], console=True)
    yield examples.stage(loss=examples.decay(700), settings={"max_steps": 100_000})
