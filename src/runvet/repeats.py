"""Whether two series tell the same: of one quantity, several tools, ranks and files often keep a record.

The looks differ in what they forgive. `close` and `part` know nothing of roles and forgive printed digits; `begins` takes
few points and forgives nothing; `repeats` is for series already known to be of one role, and forgives a tenth of the points.
"""

from __future__ import annotations

import numpy as np

from runvet.run import Series

PROBES = 64  # points of a series that are looked up in another


def close(a: Series, b: Series) -> bool:
    """Whether two series tell the same numbers, up to the digits that one of them printed."""
    if abs(a.total - b.total) > max(2, 0.02 * max(a.total, b.total)) or a.stride != b.stride:
        return False
    n = min(len(a), len(b))
    if n == 0:
        return False
    at = np.unique(np.linspace(0, n - 1, min(n, PROBES)).astype(np.int64))
    x, y = a.value[at], b.value[at]
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        return bool(len(a) == len(b))
    return bool(np.mean(np.isclose(x[good], y[good], rtol=5e-3, atol=1e-12)) > 0.9)


def begins(a: Series, b: Series) -> bool:
    """Whether the shorter series is the beginning of the other: a record kept beside each checkpoint."""
    n = min(len(a), len(b))
    if n < 2 or a.stride != b.stride or not np.array_equal(a.step[:n], b.step[:n], equal_nan=True):
        return False
    return bool(np.isfinite(a.step[:n]).all() and np.array_equal(a.value[:n], b.value[:n], equal_nan=True))


def part(a: Series, b: Series) -> bool:
    """Whether all points of the shorter series stand in the other at the same steps, up to the digits it was printed with."""
    few, many = sorted((a, b), key=lambda s: s.total)
    if len(few) < 5 or few.files == many.files or not (np.isfinite(few.step).all() and np.isfinite(many.step).all()):
        return False
    if few.minimum == few.maximum:
        return False
    order = np.argsort(many.step, kind="stable")
    steps, values = many.step[order], many.value[order]
    for i in np.unique(np.linspace(0, len(few) - 1, PROBES).astype(np.int64)).tolist():
        low, high = np.searchsorted(steps, few.step[i]), np.searchsorted(steps, few.step[i], side="right")
        near = np.abs(values[low:high] - few.value[i]) <= last_digit(float(few.value[i]))
        if not (near.any() or (np.isnan(few.value[i]) and np.isnan(values[low:high]).any())):
            return False
    return True


def repeats(sparse: Series, dense: Series) -> bool:
    """Whether nearly all points of one series stand in another at the same steps (or all one step beside)."""
    if len(sparse) < 5 or sparse.files == dense.files or sparse.segment.max() != dense.segment.max():
        return False
    if not (np.isfinite(sparse.step).all() and np.isfinite(dense.step).all()):
        return False
    order = np.argsort(dense.step, kind="stable")
    steps, values = dense.step[order], dense.value[order]
    for shift in (0.0, 1.0, -1.0):
        at = np.searchsorted(steps, sparse.step + shift)
        found = (at < len(steps)) & (steps[np.minimum(at, len(steps) - 1)] == sparse.step + shift)
        if found.mean() > 0.9:
            mine, theirs = sparse.value[found], values[at[found]]
            if np.mean(np.isclose(mine, theirs, rtol=5e-3, atol=1e-12, equal_nan=True)) > 0.9:
                return True
    return False


def last_digit(value: float) -> float:
    """Half a unit of the last digit that a value was printed with (and a little), as far as its digits tell."""
    digits, _, power = f"{value:.12g}".partition("e")
    return 0.51 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
