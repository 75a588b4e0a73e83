"""Words for examples of artifacts: small grids, pictures and predictions, made in memory.

examples.run(examples.stage(loss=examples.decay()), files=artifacts.grids("samples/step_100", [tree(1), tree(2)]) | …)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet import examples
from runvet.artifacts.model import Array
from runvet.run import FloatArray, Run

Picture = npt.NDArray[np.uint8]


def tree(seed: int, *, size: int = 12, trunk: int = 1, leaves: int = 2) -> Array:
    """A voxel tree of random height and crown, uint8 (size, size, size): connected, about 60 to 130 filled cells."""
    rng = np.random.default_rng(seed)
    grid = np.zeros((size, size, size), np.uint8)
    x, z = (int(v) for v in rng.integers(4, size - 4, 2))
    height = int(rng.integers(4, size - 4))
    wide = 2
    grid[x - wide : x + wide + 1, height - 1 : height + 2, z - wide : z + wide + 1] = leaves
    corner = [(dx, dz) for dx in (-wide, wide) for dz in (-wide, wide) if rng.random() < 0.5]
    for dx, dz in corner:
        grid[x + dx, height + 1, z + dz] = 0
    grid[x, : height + 1, z] = trunk
    return grid


def scattered(seed: int, cells: int, *, size: int = 12, values: Sequence[int] = (1, 2)) -> Array:
    """`cells` single voxels at random places: the right number, in loose parts."""
    rng = np.random.default_rng(seed)
    grid = np.zeros(size**3, np.uint8)
    grid[rng.choice(size**3, cells, replace=False)] = rng.choice(values, cells)
    return grid.reshape(size, size, size)


def grids(
    folder: str, made: Sequence[Array], *, name: str = "sample", key: str = "voxels"
) -> dict[str, dict[str, Array]]:
    """Files `folder/name_0.npz`, … of one grid each."""
    return {f"{folder}/{name}_{i:04d}.npz": {key: grid} for i, grid in enumerate(made)}


def scene(seed: int, *, size: int = 48) -> Picture:
    """A noisy picture with coloured boxes, uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    out = np.tile(rng.integers(40, 200, 3), (size, size, 1)).astype(np.float64)
    for _ in range(9):
        r, c = rng.integers(0, size - 8, 2)
        h, w = rng.integers(5, size // 3, 2)
        out[r : r + h, c : c + w] = rng.integers(0, 256, 3)
    return np.asarray(np.clip(out + rng.normal(0, 6, out.shape), 0, 255), np.uint8)


def plain(colour: Sequence[int], *, size: int = 48) -> Picture:
    """A picture of one colour, uint8 (size, size, 3)."""
    return np.tile(np.asarray(colour, np.uint8), (size, size, 1))


def stripes(seed: int, *, size: int = 48, period: int = 6) -> Picture:
    """Upright stripes of two colours, uint8 (size, size, 3)."""
    colours = np.random.default_rng(seed).integers(0, 256, (2, 3)).astype(np.uint8)
    return np.tile(colours[(np.arange(size) // period) % 2][None], (size, 1, 1))


def pictures(folder: str, made: Sequence[Picture], *, name: str = "image") -> dict[str, dict[str, Array]]:
    """Files `folder/name_0.png`, …."""
    return {f"{folder}/{name}_{i:04d}.png": {"image": one} for i, one in enumerate(made)}


def with_files(
    files: Mapping[str, Any], *, n: int = 300, settings: Mapping[str, Any] | None = None, **series: Any
) -> Run:
    """A run with one stage of falling loss and these files."""
    series = series or {"loss": examples.decay(n)}
    stage = examples.stage(settings=settings, **series)
    return examples.run(stage, settings=settings, files=files)


def truth(n: int = 200, outputs: int = 4, *, scale: float = 1.0, offset: float = 0.0, seed: int = 0) -> FloatArray:
    """Random true values (n, outputs) with the given standard deviation and mean."""
    return np.asarray(offset + scale * np.random.default_rng(seed).standard_normal((n, outputs)))
