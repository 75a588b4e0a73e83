"""One transformer for all stages: attention within each frame, then over time at each place.

Pre-norm with RMS norms, normalised queries and keys, gated feed-forward layers, residual branches that start at zero.
`post_norm` gives the older arrangement that the founding case used, for comparison.
"""

from __future__ import annotations

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
        split = self.pack(x).unflatten(-1, (3, self.heads, -1)).transpose(-2, -4)  # (..., heads, 3, tokens, part)
        query, key, value = split.unbind(-3)
        out = functional.scaled_dot_product_attention(
            self.query_norm(query), self.key_norm(key), value, is_causal=self.causal
        )
        made: Tensor = self.unpack(out.transpose(-2, -3).flatten(-2))
        return made


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
    """Attention over space, attention over time (causal), feed-forward: (batch, time, place, width) to the same shape.

    `over_time=False` leaves the second out, for frames that stand alone.
    """

    def __init__(self, width: int, heads: int, *, post_norm: bool = False, over_time: bool = True) -> None:
        super().__init__()
        zero = not post_norm
        parts: list[nn.Module] = [Attention(width, heads, causal=False, zero=zero)]
        if over_time:
            parts.append(Attention(width, heads, causal=True, zero=zero))
        self.parts = nn.ModuleList([*parts, Gated(width, zero=zero)])
        self.norms = nn.ModuleList([nn.RMSNorm(width) for _ in self.parts])
        self.post_norm = post_norm

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        for part, norm in zip(self.parts, self.norms, strict=True):
            over_time = isinstance(part, Attention) and part.causal
            given = x if self.post_norm else norm(x)
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
    ) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(places, width) * 0.02)
        self.time = nn.Parameter(torch.randn(times, 1, width) * 0.02)
        self.blocks = nn.ModuleList(
            [Block(width, heads, post_norm=post_norm, over_time=times > 1) for _ in range(depth)]
        )
        self.norm = nn.RMSNorm(width) if final_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """At most `times` frames of `places` tokens."""
        x = x + self.place + self.time[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out
