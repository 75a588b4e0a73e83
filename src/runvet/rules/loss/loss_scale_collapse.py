"""LOSS134 loss-scale-collapse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.scaling import Scaling
from runvet.rules import Action, Measure, Sick, Window, rule
from runvet.run import FloatArray, Stage


@rule("LOSS134", "loss-scale-collapse", level="critical", since="0.1", explains=("LOG101", "LOSS119", "LOSS131"))
def loss_scale_collapse(
    scale: Scaling, *, floor: float = 1, halvings: float = 12, lowest: float = 1e-3, skipped: float = 0.05
) -> Sick | None:
    """The gradient scaler halves its scale again and again.

    ## What it checks
    The scale as a series or as lines of the log. Critical where it ends below 0.001, or where its last twelve
    changes or more are all halvings and end below 1; a warning where it ends below 1, or where more than 5 % of
    the steps were skipped. The search at the start, and an overflow now and then that is made up for later, are spared.
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
            Action("Go back to the last checkpoint before the scale began to fall", "what was trained since", "stop"),
            Action("Train in bfloat16, or lower the learning rate and find the layer that overflows", "config"),
        ),
        window=Window(scale.name, scale.x[0], scale.x[1]) if scale.name and scale.x else None,
        level="critical" if level == "critical" else "warning",
    )


def _halvings(values: FloatArray) -> int:
    """How many times the scale was lowered since it last rose, in units of a factor of two."""
    rose = np.flatnonzero(np.diff(values) > 0)
    tail = values[int(rose[-1]) + 1 :] if len(rose) else values
    return round(float(np.log2(tail[0]) - np.log2(tail[-1]))) if tail[-1] > 0 and tail[0] > tail[-1] else 0


def sick() -> Iterator[Stage]:
    """A scale that goes to 1e-200, one that ends below 1 as a series, and one that never stops overflowing."""
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


def healthy() -> Iterator[Stage]:
    """The search from a high start, growth with an overflow now and then, and a constant."""
    search = np.concatenate([2.0 ** np.arange(32, 14, -1), np.full(982, 2.0**14)])
    yield examples.stage(loss=examples.decay(1000), loss_scale=search)
    steady = np.where((np.arange(20000) // 2000) % 2 == 0, 32768.0, 65536.0)
    yield examples.stage(loss=examples.decay(20000), loss_scale=steady)
    few = [
        examples.event("loss-scale", f"overflow detected, setting loss scale to: {v}", line=10 * i, value=v)
        for i, v in enumerate((64.0, 32.0, 16.0, 16.0, 8.0, 16.0, 16.0, 32.0), 1)
    ]
    yield examples.stage(console=True, loss=examples.decay(1000), events=few)
