"""Patch transformer: cubes of voxels are tokens, and lines of voxels reach in and out beside them."""

from __future__ import annotations

from torch import Tensor, nn

from runvet_lab.voxels.nets.layers import Block, LinesIn, LinesOut, Moment, Places, unpatched


class PatchTransformer(nn.Module):
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
        if any(length % patch for length in size):
            raise ValueError(f"net.patch: {patch} does not divide the grid's size {size}")
        self.patch = patch
        self.embed = nn.Conv3d(inputs, width, patch, stride=patch)
        self.lines = LinesIn(inputs, width, patch) if lines else None
        x, y, z = (length // patch for length in size)
        self.places = Places((x, y, z), width)
        self.moment = Moment(width)
        self.text = nn.Linear(text, width)
        self.blocks = nn.ModuleList(Block(width, heads, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, outputs * patch**3)
        self.lines_out = LinesOut(width, outputs, patch) if lines else None

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The network's answer for every voxel."""
        vector = nn.functional.silu(self.moment(t) + self.text(condition))
        cells = self.embed(x)
        if self.lines is not None:
            cells = cells + self.lines(x)
        grid = cells.shape[2:]
        # One type for all that is added up: under autocast, every change of type is a copy.
        vector = vector.to(cells.dtype)
        tokens = cells.flatten(2).transpose(1, 2) + self.places().flatten(0, 2).to(cells.dtype)
        for block in self.blocks:
            tokens = block(tokens, vector)
        seen = self.norm(tokens)
        out: Tensor = unpatched(self.out(seen).transpose(1, 2).unflatten(2, grid), self.patch)
        if self.lines_out is not None:
            out = out + self.lines_out(seen.transpose(1, 2).unflatten(2, grid))
        return out
