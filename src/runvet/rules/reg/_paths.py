"""Paths in the plane, for the examples of this family."""

from __future__ import annotations

import numpy as np

from runvet.run import FloatArray


def turned(paths: FloatArray, angle: FloatArray) -> FloatArray:
    """Paths (n, t, 2), each turned about the origin by its own angle (n,) in radians."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([c * paths[..., 0] - s * paths[..., 1], s * paths[..., 0] + c * paths[..., 1]], -1)
