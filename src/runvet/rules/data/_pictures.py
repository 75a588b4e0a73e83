"""Pictures that are nearly the same, for the examples of this family."""

from __future__ import annotations

import numpy as np

from runvet import examples_artifacts as made


def taken_again(seed: int, noise: int) -> made.Picture:
    """The scene of a seed with other noise: one frame of a film, uint8 (48, 48, 3)."""
    rng = np.random.default_rng(1000 + noise)
    return np.asarray(np.clip(made.scene(seed).astype(int) + rng.integers(-3, 4, (48, 48, 3)), 0, 255), np.uint8)
