"""Generated training and held-out sets in which no structure occurs twice, so that a copy in a sample means something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from runvet_lab.voxels import data, generate
from runvet_lab.voxels.shapes import Box

DRAWS = 8  # structures generated for each one that is wanted: small classes have few different ones


def write(
    folder: Path,
    count: int,
    *,
    size: Box = (16, 16, 16),
    classes: Sequence[str] = generate.CLASSES,
    held_out: int = 160,
    air: int = 0,
    seed: int = 0,
) -> tuple[int, int]:
    """Write `train` and `val` below a folder: at most `count` different structures, `held_out` of them for `val`.

    Returns how many there are of both. Raises DataProblem.
    """
    drawn = generate.generate(DRAWS * count, size, classes, seed)
    made = [s for s, _ in zip(generate.distinct(drawn, set()), range(count), strict=False)]
    held = set(np.random.default_rng(seed).permutation(len(made))[:held_out].tolist())
    parts = [[s for i, s in enumerate(made) if (i in held) == chosen] for chosen in (False, True)]
    counts = [
        data.write(folder / name, (replace(s, name=f"sample_{i:04d}") for i, s in enumerate(part)), air=air)
        for name, part in zip(("train", "val"), parts, strict=True)
    ]
    return counts[0], counts[1]
