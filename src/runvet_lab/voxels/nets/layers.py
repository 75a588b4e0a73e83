"""Parts that both networks use."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Moment(nn.Module):
    """The noise level t in [0, 1] of each sample, (n,), as a vector (n, width)."""

    def __init__(self, width: int, frequencies: int = 32) -> None:
        super().__init__()
        self.register_buffer("rates", torch.exp(torch.linspace(0, math.log(1000.0), frequencies)), persistent=False)
        self.out = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Sines and cosines of t through a small network."""
        rates: Tensor = self.get_buffer("rates")
        angles = t.float()[:, None] * rates
        vector: Tensor = self.out(torch.cat([angles.sin(), angles.cos()], dim=1))
        return vector


class Block(nn.Module):
    """A transformer block whose norms are shifted, scaled and gated by the condition."""

    def __init__(self, width: int, heads: int, condition: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.mixed = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.inner = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.steer = nn.Linear(condition, 6 * width)
        nn.init.normal_(self.steer.weight, std=0.02)
        nn.init.zeros_(self.steer.bias)
        with torch.no_grad():
            self.steer.bias[2 * width : 3 * width] = 1.0  # the gates start open
            self.steer.bias[5 * width :] = 1.0

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Tokens (n, length, width) under the condition (n, condition)."""
        shift, scale, gate, shift2, scale2, gate2 = self.steer(condition)[:, None].chunk(6, dim=-1)
        n, length, width = tokens.shape
        x = self.norms[0](tokens) * (1 + scale) + shift
        q, k, v = self.mixed(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = attention(q, k, v).transpose(1, 2).reshape(n, length, width)
        tokens = tokens + gate * self.joined(seen)
        x = self.norms[1](tokens) * (1 + scale2) + shift2
        out: Tensor = tokens + gate2 * self.inner(x)
        return out


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention over (n, heads, length, width); few tokens on a CPU go without the fused kernel, whose backward is slower there."""
    if q.device.type == "cpu" and q.shape[2] <= 256:
        weights: Tensor = torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
        return weights.to(v.dtype) @ v
    mixed: Tensor = functional.scaled_dot_product_attention(q, k, v)
    return mixed


class Places(nn.Module):
    """A trained vector for every cell of a grid of patches: the sum of one vector for each axis."""

    def __init__(self, size: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.axes = nn.ParameterList(nn.Parameter(torch.randn(length, width) * 0.2) for length in size)

    def forward(self) -> Tensor:
        """Vectors (x, y, z, width)."""
        x, y, z = self.axes
        return x[:, None, None] + y[None, :, None] + z[None, None, :]


class Trunk(nn.Module):
    """What transformers over cells of a grid share: where a cell stands, and blocks under noise level and condition."""

    places: Places
    moment: Moment
    text: nn.Linear
    blocks: nn.ModuleList
    norm: nn.LayerNorm

    def grow(self, size: tuple[int, int, int], text: int, *, width: int, depth: int, heads: int, patch: int) -> None:
        """Make the layers, for cells of `patch` voxels a side. After the embedding, so that random weights keep their order."""
        x, y, z = (length // patch for length in size)
        self.places = Places((x, y, z), width)
        self.moment = Moment(width)
        self.text = nn.Linear(text, width)
        self.blocks = nn.ModuleList(Block(width, heads, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def through(self, cells: Tensor, t: Tensor, condition: Tensor, number: Tensor | None = None) -> Tensor:
        """Cells (n, count, width) through the blocks; `number` (n, count) says which cells of the grid they are, else all."""
        # One type for all that is added up: under autocast, every change of type is a copy.
        vector = functional.silu(self.moment(t) + self.text(condition)).to(cells.dtype)
        places = self.places().flatten(0, 2).to(cells.dtype)
        tokens = cells + (places if number is None else places[number])
        for block in self.blocks:
            tokens = block(tokens, vector)
        out: Tensor = self.norm(tokens)
        return out


def fitting(size: tuple[int, int, int], patch: int) -> None:
    """Raises ValueError where cells of `patch` voxels a side do not fill a grid."""
    if any(length % patch for length in size):
        raise ValueError(f"net.patch: {patch} does not divide the grid's size {size}")


class LinesIn(nn.Module):
    """What stands along each line of voxels, for the patches on its way: means over one axis, embedded like patches.

    Structures are full of straight lines, and a patch that sees the whole line need not be told of it by attention.
    The same as a patch embedding of the means spread out again, without the cost of spreading them.
    """

    def __init__(self, inputs: int, width: int, patch: int) -> None:
        super().__init__()
        self.axes = nn.ModuleList(nn.Conv2d(inputs, width, patch, stride=patch, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Voxels (n, inputs, x, y, z) to cells (n, width, x / patch, y / patch, z / patch)."""
        parts = [embed(x.mean(a) * x.shape[a] ** 0.5).unsqueeze(a) for a, embed in enumerate(self.axes, 2)]
        return parts[0] + parts[1] + parts[2]


class LinesOut(nn.Module):
    """A share of the answer that holds for a whole line of voxels, from the mean of the cells along it."""

    def __init__(self, width: int, outputs: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.axes = nn.ModuleList(nn.Conv2d(width, outputs * patch**2, 1) for _ in range(3))

    def forward(self, cells: Tensor) -> Tensor:
        """Cells (n, width, x, y, z) to answers (n, outputs, x * patch, y * patch, z * patch)."""
        parts = [
            nn.functional.pixel_shuffle(out(cells.mean(a)), self.patch).unsqueeze(a)
            for a, out in enumerate(self.axes, 2)
        ]
        return parts[0] + parts[1] + parts[2]


def unpatched(cells: Tensor, patch: int) -> Tensor:
    """(n, channels * patch**3, x, y, z) to (n, channels, x * patch, y * patch, z * patch)."""
    if patch == 1:
        return cells
    n, channels, x, y, z = cells.shape
    split = cells.view(n, channels // patch**3, patch, patch, patch, x, y, z)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, -1, x * patch, y * patch, z * patch)
