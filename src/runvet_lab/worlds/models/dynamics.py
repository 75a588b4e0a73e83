"""The next frame's codes from those before and an action: masked prediction, filled in over a few rounds (MaskGIT)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from runvet_lab.worlds.models.transformer import SpaceTime


class Dynamics(nn.Module):
    """`forward`: codes (b, t, places), which are masked (b, t, places) and actions (b, t - 1) to logits (b, t, places, codes).

    The action that leads to a frame stands before the frame's codes as a token of its own, and is added to each of them.
    """

    def __init__(
        self, *, vocabulary: int, actions: int, places: int, width: int, depth: int, heads: int, times: int,
        post_norm: bool = False, final_norm: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vocabulary, self.places = vocabulary, places
        self.code = nn.Embedding(vocabulary + 1, width)  # the last one is the mask
        self.action = nn.Embedding(actions + 1, width)  # the last one leads to the first frame
        self.body = SpaceTime(
            width, depth, heads, places=places + 1, times=times, post_norm=post_norm, final_norm=final_norm
        )
        self.head = nn.Linear(width, vocabulary)
        nn.init.normal_(self.code.weight, std=0.02)
        nn.init.normal_(self.action.weight, std=0.02)
        if not post_norm:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, codes: Tensor, masked: Tensor, actions: Tensor) -> Tensor:
        """Logits of every place, masked or not."""
        shown = torch.where(masked, self.vocabulary, codes)
        first = torch.full_like(actions[:, :1], self.action.num_embeddings - 1)
        led = self.action(torch.cat([first, actions], 1))[:, :, None]
        out: Tensor = self.head(self.body(torch.cat([led, self.code(shown) + led], 2))[:, :, 1:])
        return out

    @torch.no_grad()
    def next(
        self,
        codes: Tensor,
        actions: Tensor,
        *,
        rounds: int = 4,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The codes (b, places) that follow `codes` (b, t, places), of which the actions (b, t) tell the way.

        In each round the surest places are kept, after a cosine schedule; `temperature` 0 takes the likeliest code.
        """
        batch = codes.shape[0]
        now = torch.zeros(batch, self.places, dtype=torch.long, device=codes.device)
        masked = torch.ones(batch, self.places, dtype=torch.bool, device=codes.device)
        for number in range(rounds):
            whole = torch.cat([codes, now[:, None]], 1)
            hidden = torch.cat([torch.zeros_like(codes, dtype=torch.bool), masked[:, None]], 1)
            chance = self(whole, hidden, actions)[:, -1].softmax(-1)
            drawn = chance.argmax(-1) if temperature == 0 else _draw(chance, temperature, generator)
            now = torch.where(masked, drawn, now)
            left = math.floor(self.places * math.cos(math.pi / 2 * (number + 1) / rounds))
            sure = chance.gather(-1, now[..., None])[..., 0].masked_fill(~masked, math.inf)
            masked = torch.zeros_like(masked).scatter(1, sure.argsort(1)[:, :left], True)
        return now


def draw_masks(batch: int, times: int, places: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Which codes are hidden (b, t, places): half of the samples hide the last frame alone, by a cosine-drawn share that
    includes all of it; the other half hide every frame but the first by a share between a half and all.
    """
    share = torch.cos(math.pi / 2 * torch.rand(batch, 1, 1, generator=generator))
    last = torch.zeros(batch, times, places)
    last[:, -1] = torch.rand(batch, places, generator=generator)
    last_masked = torch.cat([torch.zeros(batch, times - 1, places), (last[:, -1:] < share).float()], 1).bool()
    wide = torch.rand(batch, times, places, generator=generator) < 0.5 + 0.5 * torch.rand(
        batch, 1, 1, generator=generator
    )
    wide[:, 0] = False
    only_last = torch.rand(batch, 1, 1, generator=generator) < 0.5
    masked = torch.where(only_last, last_masked, wide)
    masked[:, -1, 0] |= ~masked.flatten(1).any(1)  # a sample without any hidden code would teach nothing
    return masked


def masked_loss(logits: Tensor, codes: Tensor, masked: Tensor) -> Tensor:
    """Mean cross-entropy of the hidden codes, in nats."""
    return functional.cross_entropy(logits[masked], codes[masked])


def _draw(chance: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    flat = (chance.clamp_min(1e-9).log() / temperature).softmax(-1).flatten(0, 1)
    return torch.multinomial(flat, 1, generator=generator).view(chance.shape[:2])
