"""3-D U-Net, with residual blocks and attention levels as configured; patches make the first level cheap."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from runvet_lab.voxels.nets.layers import Block, Moment, Places, unpatched


class UNet3d(nn.Module):
    """(n, inputs, x, y, z) with noise level (n,) and condition (n, text) to (n, outputs, x, y, z).

    `channels` holds the width of each level (each half the size of the one before); `blocks` residual blocks stand
    on both sides of a level, and levels in `attention` (counted from 0) follow each with an attention block.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int, int],
        text: int,
        *,
        channels: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        middle: int,
        heads: int,
        patch: int,
    ) -> None:
        super().__init__()
        step = patch * 2 ** (len(channels) - 1)
        if any(length % step for length in size):
            raise ValueError(
                f"net: {len(channels)} levels of patches of {patch} need a size divisible by {step}, not {size}"
            )
        self.patch, width = patch, 4 * channels[0]
        self.moment, self.text = Moment(width), nn.Linear(text, width)
        kernel = patch if patch > 1 else 3
        self.stem = nn.Conv3d(inputs, channels[0], kernel, stride=patch, padding=0 if patch > 1 else 1)
        x, y, z = (length // patch for length in size)
        self.places = Places((x, y, z), channels[0])
        self.down, self.smaller = nn.ModuleList(), nn.ModuleList()
        for level, wide in enumerate(channels):
            self.down.append(_level(wide, wide, blocks, level in attention, width, heads))
            if level + 1 < len(channels):
                self.smaller.append(nn.Conv3d(wide, channels[level + 1], 2, stride=2))
        low = [length // step for length in size]
        self.low_places = Places((low[0], low[1], low[2]), channels[-1])
        self.middle = nn.ModuleList(Block(channels[-1], heads, width) for _ in range(middle))
        self.up, self.larger = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(channels) - 1)):
            wide = channels[level]
            self.larger.append(nn.Conv3d(channels[level + 1], 8 * wide, 1))
            self.up.append(_level(2 * wide, wide, blocks, level in attention, width, heads))
        self.norm = nn.GroupNorm(8, channels[0])
        self.out = nn.Conv3d(channels[0], outputs * patch**3, 1)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The network's answer for every voxel."""
        vector = nn.functional.silu(self.moment(t) + self.text(condition))
        cells = self.stem(x) + self.places().permute(3, 0, 1, 2)
        kept = []
        for level, stack in enumerate(self.down):
            cells = stack(cells, vector)
            if level < len(self.smaller):
                kept.append(cells)
                cells = self.smaller[level](cells)
        grid = cells.shape[2:]
        tokens = cells.flatten(2).transpose(1, 2) + self.low_places().flatten(0, 2)
        for block in self.middle:
            tokens = block(tokens, vector)
        cells = tokens.transpose(1, 2).unflatten(2, grid)
        for larger, stack in zip(self.larger, self.up, strict=True):
            cells = stack(torch.cat([unpatched(larger(cells), 2), kept.pop()], dim=1), vector)
        return unpatched(self.out(nn.functional.silu(self.norm(cells))), self.patch)


class Residual(nn.Module):
    """Two convolutions, scaled and shifted by the condition, beside a straight path."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList((nn.GroupNorm(8, inputs), nn.GroupNorm(8, outputs)))
        self.convolutions = nn.ModuleList(nn.Conv3d(i, outputs, 3, padding=1) for i in (inputs, outputs))
        self.steer = nn.Linear(condition, 2 * outputs)
        self.straight = nn.Conv3d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, cells: Tensor, condition: Tensor) -> Tensor:
        """Cells (n, inputs, x, y, z) to (n, outputs, x, y, z)."""
        scale, shift = self.steer(condition)[:, :, None, None, None].chunk(2, dim=1)
        x = self.convolutions[0](nn.functional.silu(self.norms[0](cells)))
        x = nn.functional.silu(self.norms[1](x) * (1 + scale) + shift)
        out: Tensor = self.convolutions[1](x) + self.straight(cells)
        return out


class Attention(nn.Module):
    """A transformer block over the cells of a level."""

    def __init__(self, width: int, heads: int, condition: int) -> None:
        super().__init__()
        self.block = Block(width, heads, condition)

    def forward(self, cells: Tensor, condition: Tensor) -> Tensor:
        """Cells (n, width, x, y, z)."""
        tokens = self.block(cells.flatten(2).transpose(1, 2), condition)
        mixed: Tensor = tokens.transpose(1, 2).unflatten(2, cells.shape[2:])
        return mixed


class Stack(nn.ModuleList):
    """Modules that all see the condition, one after the other."""

    def forward(self, cells: Tensor, condition: Tensor) -> Tensor:
        """Cells (n, channels, x, y, z)."""
        for module in self:
            cells = module(cells, condition)
        return cells


def _level(inputs: int, outputs: int, blocks: int, attention: bool, condition: int, heads: int) -> Stack:
    stack = Stack()
    for number in range(blocks):
        stack.append(Residual(inputs if number == 0 else outputs, outputs, condition))
        if attention:
            stack.append(Attention(outputs, heads, condition))
    return stack
