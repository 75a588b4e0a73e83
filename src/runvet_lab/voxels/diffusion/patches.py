"""Cubes of voxels cut out of grids: the few that hold something are worked on, the rest is air."""

from __future__ import annotations

import torch
from torch import Tensor


def cut(grids: Tensor, side: int) -> Tensor:
    """Grids (n, x, y, z) as cubes (n, x y z / side³, side³), both in the order of their axes."""
    n, x, y, z = grids.shape
    cubes = grids.view(n, x // side, side, y // side, side, z // side, side)
    return cubes.permute(0, 1, 3, 5, 2, 4, 6).reshape(n, -1, side**3)


def joined(cubes: Tensor, size: tuple[int, int, int], side: int) -> Tensor:
    """The inverse of `cut`: grids (n, *size)."""
    x, y, z = (length // side for length in size)
    apart = cubes.view(-1, x, y, z, side, side, side)
    return apart.permute(0, 1, 4, 2, 5, 3, 6).reshape(-1, *size)


def filled(solid: Tensor, side: int) -> Tensor:
    """Indices (n, most) of the cubes that hold something solid; `solid` (n, x, y, z) is bool.

    Every row has as many as the fullest grid needs (one at least); grids with fewer get empty cubes as well.
    """
    held = cut(solid, side).any(2)
    most = max(1, int(held.sum(1).max()))
    return held.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]


def picked(cubes: Tensor, index: Tensor) -> Tensor:
    """The cubes (n, most, side³) at the indices (n, most)."""
    return cubes.gather(1, index[:, :, None].expand(-1, -1, cubes.shape[2]))


def put(cubes: Tensor, index: Tensor, count: int, empty: int) -> Tensor:
    """The inverse of `picked`: `count` cubes a grid, those that were not picked full of `empty`."""
    whole = torch.full((len(cubes), count, cubes.shape[2]), empty, dtype=cubes.dtype, device=cubes.device)
    return whole.scatter(1, index[:, :, None].expand(-1, -1, cubes.shape[2]), cubes)
