"""LOSS134 loss-scale-collapse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.scaling import Scaling
from runvet.evidence.skipped import SkippedSteps
from runvet.rules import BACK, Action, Measure, Sick, Unsure, Window, rule
from runvet.rules._phrases import num, percent, place, span
from runvet.run import FloatArray, Stage

FULL = 0.9  # of an interval's steps: from here on the interval counts as skipped
SHORTEST = 100  # steps in a row; a scaler that searches its scale skips some twenty


@rule("LOSS134", "loss-scale-collapse", level="critical", since="0.1", explains=("LOG101", "LOSS119", "LOSS131"))
def loss_scale_collapse(
    scale: Scaling | None,
    skips: SkippedSteps | None,
    *,
    floor: float = 1,
    halvings: float = 12,
    lowest: float = 1e-3,
    skipped: float = 0.05,
) -> Sick | Unsure | None:
    """The gradient scaler halves its scale again and again, or skips every step.

    ## What it checks
    The scale as a series or as lines of the log. Critical where it ends below 0.001, or where its last twelve
    changes or more are all halvings and end below 1; a warning where it ends below 1, or where more than 5 % of
    the steps were skipped. Where the program counts skipped steps (`number of skipped iterations`): 100 steps in a
    row and 5 % of the run, critical where they last to the end. The search at the start, and an overflow now and then
    that is made up for later, are spared.
    ## Why it matters
    Each overflow skips the update. When every update is skipped nothing is learnt, and the loss of fp16 is NaN.
    ## What to do
    Go back to before the last rise of the scale; use bfloat16, lower the learning rate, or find the layer
    whose activations overflow.
    ## When to ignore it
    The scale is a fixed number below 1 by choice.
    ## Known limits
    A scaler that logs nothing shows only as gradient norms that are infinite.
    ## References
    - Micikevicius et al. 2018, Mixed precision training, arXiv 1710.03740. Failure report: NVIDIA/apex#318.
    """
    if scale is None and skips is None:
        return Unsure("no loss scale and no count of skipped steps", "log scaler.get_scale()", applicable=False)
    found = _stretch(skips, scale, skipped) if skips is not None else None
    if found is not None or scale is None:
        return found
    values = scale.values
    if len(values) < 3 or float(values.min()) == float(values.max()):
        return None
    end = float(np.median(values[-max(1, len(values) // 20) :]))
    run = _halvings(values)
    third = values[-max(3, len(values) // 3) :]
    sunk = end < floor and float(third.max()) <= max(float(values.max()) / 2, floor)
    rate = scale.overflows / scale.steps if scale.steps > 0 else 0.0
    what = f"the loss scale falls from {values.max():g} to {values[-1]:g}"
    if end < lowest or (run >= halvings and end < floor):
        level, why = "critical", f"{run} halvings in a row without a rise"
    elif sunk and run >= 2:
        level, why = "warning", f"{run} halvings in a row without a rise"
    elif scale.overflows >= 50 and rate > skipped:
        what = f"the loss scale does not settle (between {values.min():g} and {values.max():g})"
        level, why = "warning", f"{scale.overflows:,} overflows in {scale.steps:,.0f} steps ({rate:.1%})"
    else:
        return None
    return Sick(
        f"{what}: {why}",
        evidence=(
            Measure("last loss scale", float(values[-1]), None, scale.where),
            Measure("halvings in a row at the end", run, "halvings"),
            Measure("overflows", scale.overflows, "steps"),
        ),
        since_step=scale.since,
        innocent="a fixed, small scale was chosen on purpose",
        actions=(
            Action("Go back to the last checkpoint before the scale began to fall", BACK, "stop"),
            Action("Train in bfloat16, or lower the learning rate and find the layer that overflows", "config"),
        ),
        window=Window(scale.name, scale.x[0], scale.x[1]) if scale.name and scale.x else None,
        level="critical" if level == "critical" else "warning",
    )


def _stretch(skips: SkippedSteps, scale: Scaling | None, least: float) -> Sick | None:
    """The longest row of intervals whose steps were all skipped; the last one where it lasts to the end."""
    x, full = skips.series.step, np.concatenate([[False], skips.share >= FULL, [False]])
    edges = np.flatnonzero(np.diff(full.astype(np.int8)))
    rows = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    if not rows:
        return None
    to_end = rows[-1][1] == len(x)
    steps = [float(skips.count[a:b].sum()) for a, b in rows]
    best = len(rows) - 1 if to_end and steps[-1] >= SHORTEST else int(np.argmax(steps))
    (low, high), lost = rows[best], steps[best]
    whole = float(skips.taken.sum())
    if lost < SHORTEST or lost <= least * whole or high - low < 2:
        return None
    last = high == len(x)
    begun = float(x[low] - skips.taken[low])
    end = "to the end" if last else f"to {place('step', float(x[high - 1]))}"
    fell = "" if scale is None else f"; the loss scale went from {scale.values.max():g} to {scale.values[-1]:g}"
    return Sick(
        f"every step from {place('step', begun)} {end} was skipped: {num(lost)} steps, {percent(lost / whole)} of the"
        f" run{fell}",
        evidence=(
            Measure(f"{skips.series.name} in a row", lost, "steps", skips.series.where(low)),
            *((Measure("last loss scale", float(scale.values[-1]), None, scale.where),) if scale is not None else ()),
        ),
        since_step=float(x[low]),
        innocent="the count is a running total that is written once an interval",
        actions=(
            Action(
                f"Go back to the last checkpoint before {place('step', begun)}: nothing was learnt since", "", "stop"
            ),
            Action("Train in bfloat16, or lower the learning rate and find the layer that overflows", "config"),
        ),
        window=span(skips.series, begun, float(x[high - 1])),
        level="critical" if last else "warning",
    )


def _halvings(values: FloatArray) -> int:
    """How many times the scale was lowered since it last rose, in units of a factor of two."""
    rose = np.flatnonzero(np.diff(values) > 0)
    tail = values[int(rose[-1]) + 1 :] if len(rose) else values
    return round(float(np.log2(tail[0]) - np.log2(tail[-1]))) if tail[-1] > 0 and tail[0] > tail[-1] else 0


def sick() -> Iterator[Stage]:
    """A scale that goes to 1e-200, one that ends below 1 as a series, one that never stops overflowing, one that sticks
    at its lowest value, and a running total of skipped steps that grows with every step.
    """
    lines = [
        examples.event(
            "loss-scale",
            f"Gradient overflow. Reducing loss scale to {2.0 ** (16 - i)}",
            line=i + 1,
            value=2.0 ** (16 - i),
        )
        for i in range(60)
    ]
    yield examples.stage(console=True, loss=examples.level(300), events=lines)
    yield examples.stage(loss=examples.level(400), loss_scale=2.0 ** np.maximum(16 - np.arange(400) // 20, -2))
    saw = np.where(np.arange(1000) % 10 < 5, 64.0, 128.0)
    yield examples.stage(loss=examples.level(1000), loss_scale=saw)
    stuck = np.where(np.arange(200) < 140, 65536.0, 1.0)
    steps = np.arange(1, 201) * 10
    yield examples.stage(
        steps=steps,
        loss=np.where(np.arange(200) < 140, examples.decay(200), np.nan),
        loss_scale=stuck,
        number_of_skipped_iterations=np.where(np.arange(200) < 140, 0.0, 10.0),
    )
    total = np.maximum(0.0, steps - 900.0)
    yield examples.stage(steps=steps, loss=examples.level(200), skipped_steps=total)


def healthy() -> Iterator[Stage]:
    """The search from a high start (as a scale and as skipped steps), growth with an overflow now and then, and a
    constant.
    """
    search = np.concatenate([2.0 ** np.arange(32, 14, -1), np.full(982, 2.0**14)])
    yield examples.stage(loss=examples.decay(1000), loss_scale=search)
    steady = np.where((np.arange(20000) // 2000) % 2 == 0, 32768.0, 65536.0)
    yield examples.stage(loss=examples.decay(20000), loss_scale=steady)
    few = [
        examples.event("loss-scale", f"overflow detected, setting loss scale to: {v}", line=10 * i, value=v)
        for i, v in enumerate((64.0, 32.0, 16.0, 16.0, 8.0, 16.0, 16.0, 32.0), 1)
    ]
    yield examples.stage(console=True, loss=examples.decay(1000), events=few)
    steps = np.arange(1, 301) * 10
    total = np.where(np.arange(300) < 2, [10.0, 17.0] * 150, 17.0) + np.arange(300) // 60
    yield examples.stage(steps=steps, loss=examples.decay(300), skipped_steps=total)
    yield examples.stage(steps=steps, loss=examples.decay(300), skipped_iterations=np.full(300, 10.0))
    rare = (np.arange(300) % 50 == 20) * 1.0
    yield examples.stage(
        steps=steps, loss=examples.decay(300), loss_scale=2.0**15 * (1 + rare), skipped_iterations=rare
    )
