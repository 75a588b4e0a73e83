"""Latent actions: what happened between two frames, as one of a few codes, learnt without any label.

The encoder sees a frame and its change and keeps local features before it pools them; the decoder has to tell the
next frame from the frame and the code alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from runvet_lab.worlds.models.tokenizer import pixels


class LatentActions(nn.Module):
    """`forward` (b, t, h, w, 3) uint8: next frames (b, t - 1, 3, h, w) and logits (b, t - 1, actions).

    `local=False` pools over the whole picture first, as the founding case's recipe did.
    """

    def __init__(self, *, actions: int, width: int, temperature: float = 1.0, local: bool = True) -> None:
        super().__init__()
        self.actions, self.temperature, self.local = actions, temperature, local
        self.see = nn.Sequential(
            nn.Conv2d(6, width, 4, stride=4), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.choose = nn.Linear(2 * width if local else width, actions)
        self.code = nn.Embedding(actions, width)
        self.before = nn.Sequential(nn.Conv2d(3, width, 4, stride=4), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.after = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(width, 3, 4, stride=4),
        )  # fmt: skip

    def logits(self, frames: Tensor) -> Tensor:
        """(b, t - 1, actions)."""
        picture = pixels(frames)
        pair = torch.cat([picture[:, :-1], picture[:, 1:] - picture[:, :-1]], 2)
        seen = self.see(pair.flatten(0, 1)) if self.local else self.see(pair.flatten(0, 1)).mean((2, 3), keepdim=True)
        pooled = torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], -1) if self.local else seen.flatten(1)
        out: Tensor = self.choose(pooled).unflatten(0, pair.shape[:2])
        return out

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Next frames and logits; codes are drawn by Gumbel-softmax while training, the likeliest else."""
        logits = self.logits(frames)
        if self.training:
            chosen = functional.gumbel_softmax(logits, tau=self.temperature, hard=True)
        else:
            chosen = functional.one_hot(logits.argmax(-1), self.actions).float()
        return self.next(frames[:, :-1], chosen), logits

    def next(self, frames: Tensor, chosen: Tensor) -> Tensor:
        """Frames (b, t, 3, h, w) that follow `frames` (b, t, h, w, 3) under one-hot actions (b, t, actions)."""
        picture = pixels(frames).flatten(0, 1)
        code = (chosen @ self.code.weight).flatten(0, 1)[..., None, None]
        seen = self.before(picture)
        change = self.after(seen * (1 + code) + code)
        return (picture + change).unflatten(0, frames.shape[:2])

    def codes(self, frames: Tensor) -> Tensor:
        """The likeliest action (b, t - 1)."""
        return self.logits(frames).argmax(-1)


def change_loss(made: Tensor, frames: Tensor, weight: float) -> Tensor:
    """Squared error of the next frames, with pixels that change counted `weight` times."""
    truth = pixels(frames)
    moved = ((truth[:, 1:] - truth[:, :-1]).abs().amax(2, keepdim=True) > 0.02).float()
    scale = 1 + (weight - 1) * moved
    return ((made - truth[:, 1:]) ** 2 * scale).sum() / (scale.sum() * 3)


def evenness(logits: Tensor) -> Tensor:
    """ln(actions) - entropy of the mean choice: 0 where all actions are chosen alike, ln(actions) where only one is."""
    share = logits.softmax(-1).flatten(0, -2).mean(0)
    return torch.log(torch.tensor(float(logits.shape[-1]))) + (share * share.clamp_min(1e-9).log()).sum()


def indecision(logits: Tensor) -> Tensor:
    """Mean entropy of a single choice: 0 where every choice is clear, ln(actions) where all are open."""
    share = logits.softmax(-1)
    return -(share * share.clamp_min(1e-9).log()).sum(-1).mean()
