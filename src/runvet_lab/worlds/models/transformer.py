"""One transformer for all stages: neighbouring places, attention within each frame, attention over time, feed-forward.

Pre-norm with RMS norms, normalised queries and keys, gated feed-forward layers, residual branches that start at zero.
`post_norm` gives the older arrangement that the founding case used, for comparison.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head attention over the next-to-last axis of (..., tokens, width)."""

    def __init__(self, width: int, heads: int, *, causal: bool, zero: bool = True) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.pack = nn.Linear(width, 3 * width, bias=False)
        self.unpack = nn.Linear(width, width, bias=False)
        self.query_norm, self.key_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        if zero:
            nn.init.zeros_(self.unpack.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        flat = x.flatten(0, -3)  # the fused kernels take one axis of samples
        query, key, value = self.pack(flat).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out = functional.scaled_dot_product_attention(
            self.query_norm(query), self.key_norm(key), value, is_causal=self.causal
        )
        made: Tensor = self.unpack(out.transpose(1, 2).flatten(2))
        return made.view_as(x)


class Neighbours(nn.Module):
    """A depthwise 3 x 3 convolution over the places of (..., places, width), which form a square.

    What is one place to the left is so the same everywhere; learned positions have to find it out for each place.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, 3, padding=1, groups=width)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        side = math.isqrt(x.shape[-2])
        grid = x.flatten(0, -3).transpose(1, 2).unflatten(2, (side, side))
        out: Tensor = self.mix(grid)
        return out.flatten(2).transpose(1, 2).reshape(x.shape)


class Gated(nn.Module):
    """A feed-forward layer with a SiLU gate."""

    def __init__(self, width: int, *, zero: bool = True) -> None:
        super().__init__()
        inner = width * 8 // 3 // 8 * 8
        self.up, self.down = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        if zero:
            nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        gate, value = self.up(x).chunk(2, -1)
        out: Tensor = self.down(functional.silu(gate) * value)
        return out


class Block(nn.Module):
    """Neighbours, attention over space, attention over time (causal), feed-forward: (batch, time, place, width) to the
    same shape. `over_space=False` leaves the first two out, for places that stand alone, `over_time=False` the third, for
    frames that do; `post_norm` leaves out the first.

    `led` (batch, time, 1, width) steers the feed-forward part by scale and shift, which start at none.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        post_norm: bool = False,
        over_space: bool = True,
        over_time: bool = True,
        steered: bool = False,
    ) -> None:
        super().__init__()
        zero = not post_norm
        parts: list[nn.Module] = []
        if over_space and not post_norm:
            parts.append(Neighbours(width))
        if over_space:
            parts.append(Attention(width, heads, causal=False, zero=zero))
        if over_time:
            parts.append(Attention(width, heads, causal=True, zero=zero))
        self.parts = nn.ModuleList([*parts, Gated(width, zero=zero)])
        self.norms = nn.ModuleList([nn.RMSNorm(width) for _ in self.parts])
        self.steer = nn.Linear(width, 2 * width) if steered else None
        if self.steer is not None:
            nn.init.zeros_(self.steer.weight)
            nn.init.zeros_(self.steer.bias)
        self.post_norm = post_norm

    def forward(self, x: Tensor, led: Tensor | None = None) -> Tensor:
        """The same shape."""
        for part, norm in zip(self.parts, self.norms, strict=True):
            over_time = isinstance(part, Attention) and part.causal
            given = x if self.post_norm else norm(x)
            if isinstance(part, Gated) and self.steer is not None and led is not None:
                scale, shift = self.steer(led).chunk(2, -1)
                given = given * (1 + scale) + shift
            out = part(given.transpose(1, 2)).transpose(1, 2) if over_time else part(given)
            x = norm(x + out) if self.post_norm else x + out
        return x


class SpaceTime(nn.Module):
    """Blocks with learned positions: (batch, time, place, width) to the same shape."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        places: int,
        times: int,
        post_norm: bool = False,
        final_norm: bool = True,
        over_space: bool = True,
        steered: bool = False,
    ) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(places, width) * 0.02) if over_space else None
        self.time = nn.Parameter(torch.randn(times, 1, width) * 0.02)
        kind = {"post_norm": post_norm, "over_space": over_space, "over_time": times > 1, "steered": steered}
        self.blocks = nn.ModuleList([Block(width, heads, **kind) for _ in range(depth)])
        self.norm = nn.RMSNorm(width) if final_norm else nn.Identity()

    def forward(self, x: Tensor, led: Tensor | None = None) -> Tensor:
        """At most `times` frames of `places` tokens; `led` (batch, time, 1, width) steers each frame."""
        x = x + self.time[: x.shape[1]]
        if self.place is not None:
            x = x + self.place
        for block in self.blocks:
            x = block(x, led)
        out: Tensor = self.norm(x)
        return out
