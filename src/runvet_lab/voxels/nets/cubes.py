"""Transformer over some of a grid's cubes, each of which says where it stands."""

from __future__ import annotations

from torch import Tensor, nn

from runvet_lab.voxels.nets.layers import Block, Moment, Places


class CubeTransformer(nn.Module):
    """(n, inputs, cubes, patch, patch²) with noise level (n,) and condition (n, text) to (n, outputs, cubes, patch, patch²).

    The last of the inputs is the number of a cube in the grid of `size`, in the order of its axes.
    """

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
    ) -> None:
        super().__init__()
        if any(length % patch for length in size):
            raise ValueError(f"net.patch: {patch} does not divide the grid's size {size}")
        self.outputs = outputs
        self.embed = nn.Linear((inputs - 1) * patch**3, width)
        x, y, z = (length // patch for length in size)
        self.places = Places((x, y, z), width)
        self.moment = Moment(width)
        self.text = nn.Linear(text, width)
        self.blocks = nn.ModuleList(Block(width, heads, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, outputs * patch**3)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The network's answer for every voxel of the cubes."""
        number = x[:, -1, :, 0, 0].long()
        cells = self.embed(x[:, :-1].transpose(1, 2).flatten(2))
        vector = nn.functional.silu(self.moment(t) + self.text(condition)).to(cells.dtype)
        tokens = cells + self.places().flatten(0, 2).to(cells.dtype)[number]
        for block in self.blocks:
            tokens = block(tokens, vector)
        cubes: Tensor = self.out(self.norm(tokens)).unflatten(2, (self.outputs, *x.shape[3:]))
        return cubes.transpose(1, 2)
