"""Distributions of two or more sets over the same bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from runvet.run import FloatArray

BINS = 24
TICKS = 60  # sets of so few values are drawn value by value as well


def histogram(title: str, sets: Sequence[tuple[str, FloatArray]], unit: str = "") -> dict[str, Any] | None:
    """Shares of each set (name, values) in at most 24 equal bins; None where nothing is finite.

    Whole numbers of a small range get a bin each. A set of at most 60 values carries them too.
    """
    known = [(name, np.asarray(v, np.float64)[np.isfinite(v)]) for name, v in sets]
    known = [(name, v) for name, v in known if len(v)]
    if not known:
        return None
    low, high = min(float(v.min()) for _, v in known), max(float(v.max()) for _, v in known)
    whole = all(np.array_equal(v, np.round(v)) for _, v in known)
    if whole and high - low < BINS:
        edges = np.arange(low - 0.5, high + 1)
    elif high > low:
        edges = np.linspace(low, high, BINS + 1)
    else:
        edges = np.array([low - 0.5, low + 0.5])
    return {
        "title": title,
        "unit": unit,
        "edges": [float(f"{e:.6g}") for e in edges],
        "sets": [
            {
                "name": name,
                "n": len(v),
                "median": float(f"{np.median(v):.6g}"),
                "shares": [round(float(s), 4) for s in np.histogram(v, edges)[0] / len(v)],
                "values": [float(f"{x:.6g}") for x in np.sort(v)] if len(v) <= TICKS else [],
            }
            for name, v in known
        ],
    }
