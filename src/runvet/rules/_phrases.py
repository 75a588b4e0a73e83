"""Numbers and places as a person reads them, for the messages of rules."""

from __future__ import annotations

import math

from runvet.report import Window
from runvet.run import Series


def num(value: float) -> str:
    """A value with up to four significant digits, whole numbers in full: 1,250 or 0.0312."""
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def percent(share: float) -> str:
    """A share of 1 in per cent: 0.301 -> `30 %`, small ones with a digit more."""
    return f"{100 * share:.0f} %" if abs(share) >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def place(axis: str, x: float) -> str:
    """`step 1,200`, `epoch 7.5` or `point 12`."""
    return f"{axis} {x:,.0f}" if float(x).is_integer() or abs(x) >= 100 else f"{axis} {x:.3g}"


def since(series: Series, x: float) -> float | None:
    """A value for `since_step`: None where the axis of the series counts something else than steps."""
    return float(x) if series.axis == "step" and math.isfinite(x) else None


def span(series: Series, start: float, end: float) -> Window:
    """The guilty part of a curve."""
    return Window(series.name, float(start), float(end), series.axis)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h` or `2.1 days`."""
    for unit, length in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= (2 * length if unit == "days" else length):
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
