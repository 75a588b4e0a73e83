"""The next frame's codes from those before and an action: masked prediction, filled in over a few rounds (MaskGIT)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from runvet_lab.worlds.models.transformer import SpaceTime


class Dynamics(nn.Module):
    """`forward` gives a loss, `next` the codes (b, places) that follow.

    The action that leads to a frame is added to each of its codes, and steers each block.
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
            width, depth, heads, places=places, times=times, post_norm=post_norm, final_norm=final_norm,
            steered=not post_norm,
        )  # fmt: skip
        self.head = nn.Linear(width, vocabulary)
        nn.init.normal_(self.code.weight, std=0.02)
        nn.init.normal_(self.action.weight, std=0.02)
        if not post_norm:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, shown: Tensor, codes: Tensor, actions: Tensor, changed_weight: float = 1.0) -> Tensor:
        """Cross-entropy of the codes (b, t, places) at places drawn at random, told from the others of `shown` and actions
        (b, t - 1).
        """
        masked = draw_masks(*codes.shape).to(codes.device)
        return masked_loss(self.logits(shown, masked, actions), codes, masked, changed_weight)

    def logits(self, codes: Tensor, masked: Tensor, actions: Tensor) -> Tensor:
        """Logits (b, t, places, codes) of every place, masked (b, t, places) or not."""
        seen = torch.where(masked, self.vocabulary, codes)
        first = torch.full_like(actions[:, :1], self.action.num_embeddings - 1)
        led = self.action(torch.cat([first, actions], 1))[:, :, None]
        out: Tensor = self.head(self.body(self.code(seen) + led, led))
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
            chance = self.logits(whole, hidden, actions)[:, -1].softmax(-1)
            drawn = chance.argmax(-1) if temperature == 0 else _draw(chance, temperature, generator)
            now = torch.where(masked, drawn, now)
            left = math.floor(self.places * math.cos(math.pi / 2 * (number + 1) / rounds))
            sure = chance.gather(-1, now[..., None])[..., 0].masked_fill(~masked, math.inf)
            masked = torch.zeros_like(masked).scatter(1, sure.argsort(1)[:, :left], True)
        return now


def draw_masks(batch: int, times: int, places: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Which codes are hidden (b, t, places). Half of the samples hide the last frame wholly, as play does: only there the
    action is needed. A quarter hides a cosine-drawn share of it, as the later rounds of play do; a quarter hides a share
    between a half and all of every frame but the first.
    """
    kind = torch.rand(batch, 1, 1, generator=generator)
    share = torch.cos(math.pi / 2 * torch.rand(batch, 1, 1, generator=generator))
    share = torch.where(kind < 0.5, torch.ones_like(share), share)
    hidden = torch.rand(batch, times, places, generator=generator)
    wide = hidden < 0.5 + 0.5 * torch.rand(batch, 1, 1, generator=generator)
    last = (hidden < share) & (torch.arange(times) == times - 1)[:, None]
    masked = torch.where(kind < 0.75, last, wide)
    masked[:, 0] = False
    masked[:, -1, 0] |= ~masked.flatten(1).any(1)  # a sample without any hidden code would teach nothing
    return masked


def masked_loss(logits: Tensor, codes: Tensor, masked: Tensor, changed_weight: float = 1.0) -> Tensor:
    """Mean cross-entropy of the hidden codes (b, t, places), in nats; those that differ from the frame before count
    `changed_weight` times.
    """
    nats = functional.cross_entropy(logits[masked], codes[masked], reduction="none")
    changed = torch.zeros_like(masked)
    changed[:, 1:] = codes[:, 1:] != codes[:, :-1]
    weight = 1 + (changed_weight - 1) * changed[masked].float()
    return (nats * weight).sum() / weight.sum()


def _draw(chance: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    flat = (chance.clamp_min(1e-9).log() / temperature).softmax(-1).flatten(0, 1)
    return torch.multinomial(flat, 1, generator=generator).view(chance.shape[:2])
