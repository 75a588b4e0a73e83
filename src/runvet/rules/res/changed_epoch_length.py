"""RES103 changed-epoch-length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from runvet import examples
from runvet.evidence.environments import Environments
from runvet.evidence.epoch_length import EpochLength, Span
from runvet.evidence.events import Events
from runvet.evidence.seams import Joint, Seams
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, place
from runvet.run import Series, Stage

SMALL = 16  # the largest denominator of a ratio that is told
CLOSE = 0.02  # lengths of an epoch are rounded, and the last batch may be dropped


@rule("RES103", "changed-epoch-length", level="warning", since="0.1", explains=("RES107",))
def changed_epoch_length(
    lengths: EpochLength | None, events: Events, seams: Seams | None, environments: Environments | None
) -> Sick | Unsure | None:
    """An epoch has another number of steps after a restart.

    ## What it checks
    The number of steps that the log counts in an epoch (or steps against epochs, where both are logged), before and
    after each restart. Where the numbers of processes are told, whether they explain it: steps × processes is then
    the same on both sides. Where the axis is the epoch, the distance of the points tells it instead. Differences below 2 %
    (a dropped last batch) are none.
    ## Why it matters
    With another number of processes and the same batch each, the effective batch changes, and everything that counts
    steps or epochs is off: the schedule, warm-up, saving, the x axis of every plot, and where in the data the run
    goes on.
    ## What to do
    Resume with the former number of processes, or scale the learning rate and the schedule to the new batch, and note
    the change. Compare runs by samples seen, not by steps.
    ## When to ignore it
    The data set or the batch size was changed on purpose, together with the schedule.
    ## Known limits
    Without a count of steps in the log, step and epoch must be logged side by side, or epochs alone at even distances.
    ## References
    - Failure reports: wenet-e2e/wenet#622, tensorpack/tensorpack#598, bghira/SimpleTuner#3045.
    """
    for joint in seams.resumed if seams is not None else ():
        sick = _by_distance(joint, _worlds(None, seams, environments))
        if sick is not None and (lengths is None or len(lengths.spans) < 2):
            return sick
    if lengths is None:
        return Unsure("the log does not tell how many steps an epoch has", "log step and epoch side by side")
    for old, new in itertools.pairwise(lengths.spans):
        worlds = _worlds(new, seams, environments)
        fits = (
            worlds is not None and abs(old.steps * worlds[0] - new.steps * worlds[1]) <= CLOSE * old.steps * worlds[0]
        )
        if fits or _restarted(old, new, lengths, events, seams):
            return _report(old, new, worlds, fits)
    return None


def _restarted(old: Span, new: Span, lengths: EpochLength, events: Events, seams: Seams | None) -> bool:
    """Whether a run that goes on was restarted between two lengths."""
    if lengths.counted and old.line and old.source == new.source:
        resumed = [e for e in events.of("resume") if e.source == new.source and old.line < e.line <= new.line]
        if resumed and seams is not None and seams.resumed:
            return True
    for joint in seams.resumed if seams is not None else ():
        same_place = lengths.counted and joint.after.line[0] == new.line > 0
        if same_place or (not lengths.counted and joint.start <= new.x and old.x < joint.end):
            return len(joint.before) >= 5 and len(joint.after) >= 5
    # A trainer that appends to its own record shows no seam: two steady lengths in the ratio of small numbers.
    ratio = Fraction(old.steps / new.steps).limit_denominator(8)
    whole = abs(float(ratio) - old.steps / new.steps) <= 0.01 * float(ratio) and ratio.numerator <= 8
    return not lengths.counted and seams is None and whole


def _worlds(
    new: Span | None, seams: Seams | None, environments: Environments | None
) -> tuple[float, float, str] | None:
    """Numbers of processes before and after the change with their place."""
    for joint in seams.resumed if seams is not None else ():
        told = joint.told.get("world-size")
        near = new is None or new.line == 0 or joint.after.line[0] == new.line
        if told is not None and told.numbers is not None and near and told.after is not None:
            return (*told.numbers, told.after.where)
    records = [r for r in (environments.records if environments else ()) if r.world_size]
    if len(records) == 2 and records[0].world_size and records[1].world_size:
        return records[0].world_size, records[1].world_size, records[1].source
    return None


def _by_distance(joint: Joint, worlds: tuple[float, float, str] | None) -> Sick | None:
    """A change seen in the distance of points on an axis of epochs (or of steps that stand for shares of epochs).

    A program that logs every so many steps moves on by more of an epoch when an epoch has fewer of them. A multiple
    of whole numbers is rather another logging interval, and a whole step is a step, unless the processes explain it.
    """
    old, new = _distance(joint.before), _distance(joint.after)
    if old is None or new is None or abs(new / old - 1) <= CLOSE:
        return None
    ratio = Fraction(new / old).limit_denominator(16)
    near = abs(float(ratio) - new / old) <= CLOSE / 2 * float(ratio)
    explained = worlds is not None and abs(new / old - worlds[1] / worlds[0]) <= CLOSE * worlds[1] / worlds[0]
    shares = joint.axis == "epoch" or abs(new - round(new)) > CLOSE
    if not near or not (explained or (worlds is None and shares and 1 not in (ratio.numerator, ratio.denominator))):
        return None
    cause = "as if the number of processes had changed"
    if explained and worlds is not None:
        cause = f"as the world size does, which went from {num(worlds[0])} to {num(worlds[1])}"
    return Sick(
        f"an epoch has {ratio.denominator}/{ratio.numerator} as many steps per epoch after the restart at"
        f" {place(joint.axis, joint.start)}: points are {num(old)} {joint.axis}s apart before and {num(new)} after, {cause}",
        evidence=(
            Measure("distance of points before", old, f"{joint.axis}s", joint.before.where(-1)),
            Measure("distance of points after", new, f"{joint.axis}s", joint.where),
            *(
                (Measure("world size before and after", f"{num(worlds[0])} -> {num(worlds[1])}", None, worlds[2]),)
                if worlds
                else ()
            ),
        ),
        since_step=joint.start if joint.axis == "step" else None,
        innocent="batch size, data or the logging interval were changed on purpose",
        actions=(
            Action(
                "Resume with the former world size and batch, or set schedule and learning rate for the new steps per epoch",
                "a restart",
                "repair",
            ),
        ),
    )


def _distance(part: Series) -> float | None:
    """The mean distance of the points of a part, None where they are few or do not stand at even distances."""
    steps = np.diff(part.x())
    if len(steps) < 50:
        return None
    middle = float(np.median(steps))
    even = middle > 0 and float(np.quantile(np.abs(steps - middle), 0.98)) <= max(
        0.02 * middle, 1.0 if part.axis == "step" else 0.0
    )
    return float(steps[np.abs(steps - middle) <= middle].mean()) if even else None


def _report(old: Span, new: Span, worlds: tuple[float, float, str] | None, fits: bool) -> Sick:
    at = "" if np.isnan(new.x) else f" at {place('step', new.x)}"
    message = f"{num(old.steps)} steps per epoch before and {num(new.steps)} steps per epoch after the restart{at}"
    evidence = [
        Measure("steps per epoch before", old.steps, "steps", old.where),
        Measure("steps per epoch after", new.steps, "steps", new.where),
    ]
    ratio = Fraction(old.steps / new.steps).limit_denominator(SMALL)
    if worlds is not None:
        evidence.append(
            Measure("world size before and after", f"{num(worlds[0])} -> {num(worlds[1])}", None, worlds[2])
        )
    if worlds is not None and fits:
        message += (
            f": the world size went from {num(worlds[0])} to {num(worlds[1])}"
            f" ({num(old.steps)} × {num(worlds[0])} = {num(old.steps * worlds[0])},"
            f" {num(new.steps)} × {num(worlds[1])} = {num(new.steps * worlds[1])} batches an epoch)"
        )
    elif worlds is None:
        share = f"{ratio.numerator}/{ratio.denominator}" if ratio.denominator > 1 else f"{ratio.numerator} times"
        message += f": a step takes {share} as many samples as before, if the data are the same"
    elif worlds is not None:
        message += f", which the world size ({num(worlds[0])} -> {num(worlds[1])}) does not explain"
    again = (
        f"Resume with a world size of {num(worlds[0])}" if worlds and fits else "Resume with the former batch and data"
    )
    return Sick(
        message,
        evidence=tuple(evidence),
        since_step=None if np.isnan(new.x) else float(new.x),
        innocent="batch size or data were changed on purpose, and the schedule with them",
        actions=(
            Action(
                f"{again}, or set schedule and learning rate for {num(new.steps)} steps per epoch",
                "a restart",
                "repair",
            ),
        ),
    )


def _stage(before: int, after: int, *worlds: int) -> Stage:
    steps = [*range(0, 2 * before, 10), *range(2 * before, 2 * before + 3 * after, 10)]
    seam = 2 * before // 10
    events = [
        examples.event("epoch-length", f"Epoch: [0]  [0/{before}]", line=1, value=float(before)),
        examples.event("resume", "Resume checkpoint last.pth", line=seam + 1),
        examples.event("epoch-length", f"Epoch: [2]  [0/{after}]", line=seam + 1, value=float(after)),
    ]
    if worlds:
        events.insert(0, examples.event("world-size", f"world_size: {worlds[0]}", line=1, value=float(worlds[0])))
        events.insert(
            2, examples.event("world-size", f"world_size: {worlds[1]}", line=seam + 1, value=float(worlds[1]))
        )
    told = examples.stage(steps=steps, loss=examples.decay(len(steps)), events=events, console=True)
    return _cut(told, seam)


def _cut(stage: Stage, at: int) -> Stage:
    """The same stage with a new process from point `at` on."""
    series = tuple(replace(s, segment=(s.line > at).astype(np.int64)) for s in stage.series)
    return replace(stage, series=series)


def sick() -> Iterator[Stage]:
    """Five processes go on with what four began; the same without a word about processes; steps beside epochs;
    and a tracker whose axis is a thousandth of an epoch.
    """
    yield _stage(5000, 4000, 4, 5)
    yield _stage(1000, 500)
    steps = np.arange(0, 6000, 10.0)
    epochs = np.where(steps < 3000, steps / 500, steps / 400)
    yield examples.stage(steps=steps, epochs=epochs, loss=examples.decay(600))

    axis = np.concatenate([np.arange(0, 1500) * 2.0, np.floor(2000 + np.arange(0, 1500) * 2.5)])
    yield examples.stage(steps=axis, loss=examples.decay(3000))


def healthy() -> Iterator[Stage]:
    """A resume that changes nothing, another logging interval, a dropped last batch, and a validation loader that is counted beside."""
    yield _stage(5000, 5000, 4, 4)
    yield _stage(5000, 4999, 4, 4)
    steps = np.concatenate([np.arange(0, 3000, 10.0), np.arange(2500, 6000, 25.0)])
    yield examples.stage(steps=steps, epochs=np.floor(steps / 500), loss=examples.decay(len(steps)))
    events = [
        examples.event("epoch-length", f"[0/{n}]", line=line, value=float(n))
        for line, n in ((1, 500), (40, 20), (50, 500), (90, 20))
    ]
    yield examples.stage(loss=examples.decay(100), events=events, console=True)
    steps = np.arange(0, 6000, 10.0)
    yield examples.stage(steps=steps, epochs=steps / 500, loss=examples.decay(600))
