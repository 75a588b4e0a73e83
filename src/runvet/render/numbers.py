"""Numbers as a person writes them."""

from __future__ import annotations

import math


def short(value: float | int | str | None) -> str:
    """Four significant digits, thousands separated, no exponent between 0.001 and a million."""
    if value is None:
        return "?"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 4 - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}"
    return f"{value:.4g}"


def exact(value: float | int | str | None) -> str:
    """The run's own digits: up to six significant ones, without a needless tail."""
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return short(value)
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.6g}"


def duration(seconds: float | None) -> str:
    """`187 h`, `12 min`, `40 s`."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def plural(count: int, word: str) -> str:
    """`1 stage`, `3 stages`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
