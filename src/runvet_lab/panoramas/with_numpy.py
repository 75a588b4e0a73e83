"""The operations of the ray caster in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np


def of(array: Any) -> Any:
    """As float32."""
    return np.asarray(array, np.float32)


def index(array: Any) -> Any:
    """As an index."""
    return array


def full(size: int, value: int) -> Any:
    """`size` keys of one value."""
    return np.full(size, value, np.int64)


def where(condition: Any, one: Any, other: Any) -> Any:
    """Choose element by element, and keep the kind of the array among the two."""
    kind = next(x.dtype for x in (one, other) if isinstance(x, np.ndarray))
    return np.where(condition, one, other).astype(kind, copy=False)


def nonzero(array: Any) -> Any:
    """Without zeros, which must not divide."""
    return np.where(np.abs(array) < 1e-9, np.float32(1e-9), array)


larger, smaller = np.maximum, np.minimum


def keys(distance: Any, number: Any) -> Any:
    """Distance and number of the box as one sortable number."""
    return distance.view(np.int32).astype(np.int64) << 16 | number


def lowest(have: Any, cells: Any, new: Any) -> None:
    """Keep the lower key of each cell, in place."""
    np.minimum.at(have, cells, new)


def split(have: Any, none: int) -> tuple[Any, Any]:
    """Distances and numbers of boxes; `none` (no box was met) is any number from there on."""
    return (have >> 16).astype(np.int32).view(np.float32), np.minimum(have & 0xFFFF, none)
