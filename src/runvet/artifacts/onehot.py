"""Grids stored as one channel a class (one-hot, or probabilities): recognised by their sums, and turned into ids."""

from __future__ import annotations

import numpy as np

from runvet.artifacts.model import Array, evenly

LARGEST = 64 << 20  # values of the largest array that is looked at
CLASSES = 4_096
PROBED = 4_096  # cells whose channels are added up


def class_axis(array: Array) -> int | None:
    """The axis of classes of (…, K) or (K, …) / (N, K, …): everywhere 0..1 and adding up to 1 along it; else None.

    `array` has 4 or 5 axes. Pictures never add up to 1 over their colours in every pixel.
    """
    if array.ndim not in (4, 5) or not 0 < array.size <= LARGEST or array.dtype.kind not in "fiub":
        return None
    for axis in (array.ndim - 1, array.ndim - 4):
        rest = [n for i, n in enumerate(array.shape) if i != axis][-3:]
        if 2 <= array.shape[axis] <= CLASSES and min(rest) >= 3 and _adds_up(array, axis):
            return axis
    return None


def ids_of(array: Array) -> Array:
    """The most likely class of every cell where the array has an axis of classes, else the array as it is."""
    axis = class_axis(array)
    return array if axis is None else np.argmax(array, axis=axis)


def _adds_up(array: Array, axis: int) -> bool:
    rows = np.moveaxis(array, axis, -1)
    first = rows.reshape(-1, rows.shape[-1]) if rows.flags.c_contiguous else None
    if first is None:  # without a copy of everything
        chosen = np.unravel_index(list(evenly(range(int(np.prod(rows.shape[:-1]))), PROBED)), rows.shape[:-1])
        some = rows[chosen]
    else:
        some = first[list(evenly(range(len(first)), PROBED))]
    values = np.asarray(some, np.float64)
    return bool(np.isfinite(values).all() and values.min() >= -1e-6 and np.abs(values.sum(axis=-1) - 1).max() < 0.01)
