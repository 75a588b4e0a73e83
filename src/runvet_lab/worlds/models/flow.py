"""The next frame by flow matching (Lipman et al., arXiv 2210.02747) on the tokenizer's values instead of on code numbers.

The network sees the frame on a straight line between noise and truth and tells the truth (as in Li and He, arXiv
2511.13720); from there to the velocity is a division. Steps of Euler lead from noise to a frame, whose values are rounded
to codes at the end, so that everything else works as with masked prediction.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from runvet_lab.worlds.models.transformer import SpaceTime

WAVES = 16  # of the time's embedding


class FlowDynamics(nn.Module):
    """The same interface as `Dynamics`: `forward` gives a loss, `next` the codes (b, places) that follow.

    `values` (codes, parts) are the tokenizer's values of each code; they are kept with the weights.
    """

    values: Tensor

    def __init__(
        self, *, values: Tensor, actions: int, places: int, width: int, depth: int, heads: int, times: int
    ) -> None:
        super().__init__()
        self.register_buffer("values", values.clone())
        self.vocabulary, self.places = len(values), places
        self.into, self.out = nn.Linear(values.shape[1], width), nn.Linear(width, values.shape[1])
        self.noisy = nn.Parameter(torch.randn(width) * 0.02)  # marks the frame that is made
        self.action = nn.Embedding(actions + 1, width)
        self.clock = nn.Linear(2 * WAVES, width)
        self.body = SpaceTime(width, depth, heads, places=places, times=times, steered=True)
        nn.init.normal_(self.action.weight, std=0.02)
        nn.init.zeros_(self.out.weight)  # begins with a copy of the frame before
        nn.init.zeros_(self.out.bias)

    def forward(self, shown: Tensor, codes: Tensor, actions: Tensor, changed_weight: float = 1.0) -> Tensor:
        """Mean squared error of the last of `codes` (b, t, places), told from `shown`, what is seen of the frames before;
        codes that differ from the frame before count `changed_weight` times.
        """
        truth = self.values[codes[:, -1]]
        at = torch.rand(len(codes), 1, 1).to(truth.device)
        on_the_way = at * truth + (1 - at) * torch.randn(truth.shape).to(truth.device)
        told = self.told(self.values[shown[:, :-1]], on_the_way, actions, at)
        weight = 1 + (changed_weight - 1) * (codes[:, -1] != codes[:, -2]).float()[..., None]
        return ((told - truth) ** 2 * weight).sum() / (weight.sum() * truth.shape[-1])

    def told(self, before: Tensor, now: Tensor, actions: Tensor, at: Tensor) -> Tensor:
        """The frame (b, places, parts) told from those before (b, t, places, parts), itself at time `at` (b, 1, 1) of the
        way from noise (0) to truth (1), and actions (b, t).
        """
        first = torch.full_like(actions[:, :1], self.action.num_embeddings - 1)
        led = self.action(torch.cat([first, actions], 1))
        angle = at[:, 0] * torch.exp(torch.linspace(0, math.log(100), WAVES, device=at.device))
        mark = self.clock(torch.cat([angle.sin(), angle.cos()], -1)) + self.noisy
        led = torch.cat([led[:, :-1], led[:, -1:] + mark[:, None]], 1)[:, :, None]
        made = self.body(self.into(torch.cat([before, now[:, None]], 1)) + led, led)[:, -1]
        out: Tensor = before[:, -1] + self.out(made)
        return out

    @torch.no_grad()
    def next(
        self, codes: Tensor, actions: Tensor, *, rounds: int = 4, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:  # fmt: skip
        """The codes (b, places) that follow `codes` (b, t, places) after `rounds` steps of Euler; `temperature` scales the
        noise that they begin with.
        """
        before = self.values[codes]
        shape = (len(codes), self.places, before.shape[-1])
        now = temperature * torch.randn(shape, generator=generator).to(before.device)
        for number in range(rounds):
            at = torch.full((len(codes), 1, 1), number / rounds, device=before.device)
            now = now + (self.told(before, now, actions, at) - now) / (rounds - number)
        return torch.cdist(now, self.values).argmin(-1)
