"""Transformer over some of a grid's cubes, each of which says where it stands."""

from __future__ import annotations

from torch import Tensor, nn

from runvet_lab.voxels.nets.layers import Trunk, fitting


class CubeTransformer(Trunk):
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
        fitting(size, patch)
        self.outputs = outputs
        self.embed = nn.Linear((inputs - 1) * patch**3, width)
        self.grow(size, text, width=width, depth=depth, heads=heads, patch=patch)
        self.out = nn.Linear(width, outputs * patch**3)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The network's answer for every voxel of the cubes."""
        number = x[:, -1, :, 0, 0].long()
        cells = self.embed(x[:, :-1].transpose(1, 2).flatten(2))
        seen = self.through(cells, t, condition, number)
        cubes: Tensor = self.out(seen).unflatten(2, (self.outputs, *x.shape[3:]))
        return cubes.transpose(1, 2)
