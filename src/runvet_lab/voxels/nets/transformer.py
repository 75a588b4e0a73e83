"""Patch transformer: cubes of voxels are tokens, and lines of voxels reach in and out beside them."""

from __future__ import annotations

from torch import Tensor, nn

from runvet_lab.voxels.nets.layers import LinesIn, LinesOut, Trunk, fitting, unpatched


class PatchTransformer(Trunk):
    """(n, inputs, x, y, z) with noise level (n,) and condition (n, text) to (n, outputs, x, y, z)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int, int],
        text: int,
        *,
        width: int,
        depth: int,
        heads: int,
        patch: int,
        lines: bool = True,
    ) -> None:
        super().__init__()
        fitting(size, patch)
        self.patch = patch
        self.embed = nn.Conv3d(inputs, width, patch, stride=patch)
        self.lines = LinesIn(inputs, width, patch) if lines else None
        self.grow(size, text, width=width, depth=depth, heads=heads, patch=patch)
        self.out = nn.Linear(width, outputs * patch**3)
        self.lines_out = LinesOut(width, outputs, patch) if lines else None

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The network's answer for every voxel."""
        cells = self.embed(x)
        if self.lines is not None:
            cells = cells + self.lines(x)
        grid = cells.shape[2:]
        seen = self.through(cells.flatten(2).transpose(1, 2), t, condition)
        out: Tensor = unpatched(self.out(seen).transpose(1, 2).unflatten(2, grid), self.patch)
        if self.lines_out is not None:
            out = out + self.lines_out(seen.transpose(1, 2).unflatten(2, grid))
        return out
