"""Masked (absorbing) diffusion: voxels are hidden one by one, and the network says what was there.

The loss is the evidence bound of Sahoo et al. 2024 (arXiv 2406.07524): cross entropy of hidden voxels. Its weight 1/t
for a hidden share t makes it the mean over hidden voxels. Noise levels are drawn as the sampler visits them: it shows
`(s / n) ** pace` of all voxels after s of n steps, so that those which decide where a shape stands come almost one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.voxels.diffusion.process import Answer, Net, Outcome, Sampling, drawn, levels


class Masked:
    """Tokens 0 to `size` - 1, and one more for a hidden voxel. `air` is the token of air, `ids` the id of each token."""

    def __init__(self, ids: Tensor, air: int, *, pace: float = 2.0) -> None:
        self.ids, self.air, self.pace = ids, air, pace
        self.hidden = len(ids)
        self.inputs, self.outputs = len(ids) + 1, len(ids)

    def loss(
        self, net: Net, tokens: Tensor, prompts: Sequence[str], generator: torch.Generator, *, numbers: bool = True
    ) -> Outcome:
        """Mean cross entropy of the hidden voxels."""
        n = len(tokens)
        t = 1 - levels(n, generator) ** self.pace
        hide = torch.rand(tokens.shape, generator=generator, device=tokens.device) < t[:, None, None, None]
        logits = net(self._seen(tokens.masked_fill(hide, self.hidden)), t, prompts).float()
        each = functional.cross_entropy(logits, tokens, reduction="none")
        share = hide.flatten(1).sum(1).clamp(min=1)
        loss = ((each * hide).flatten(1).sum(1) / share).mean()
        if not numbers:
            return Outcome(loss)
        with torch.no_grad():
            right = logits.argmax(1) == tokens
            solid = hide & (tokens != self.air)
            told = {
                "accuracy": (right | ~hide).float().mean(),
                "recall_hidden_solid": (right & solid).sum() / solid.sum().clamp(min=1),
            }
        return Outcome(loss, told)

    def sample(
        self, answer: Answer, shape: tuple[int, int, int, int], settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Block ids (n, x, y, z), shown in the order and at the pace of the settings."""
        device = self.ids.device
        tokens = torch.full(shape, self.hidden, device=device)
        cells = tokens[0].numel()
        shown = 0
        for step in range(1, settings.num_inference_steps + 1):
            if shown == cells:
                break
            t = torch.full((shape[0],), 1 - shown / cells, device=device)
            due = round(cells * (step / settings.num_inference_steps) ** settings.pace)
            now = cells if step == settings.num_inference_steps else min(cells, max(shown + 1, due))
            tokens = self._show(answer(self._seen(tokens), t), tokens, now - shown, settings, generator)
            shown = now
        for _ in range(settings.repairs):
            tokens = self._repaired(answer, tokens, settings, generator)
        return self.ids[tokens]

    def _show(
        self, logits: Tensor, tokens: Tensor, number: int, settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Draw all hidden voxels, and keep `number` of them a sample."""
        picked, sure = drawn(logits.movedim(1, -1), settings.effective_temperature, generator)
        random = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        if settings.order == "confidence":
            rank = sure
        elif settings.order == "random":
            rank = random
        else:
            raise ValueError(f"sampling.order: {settings.order!r} is not known; known are random, confidence")
        rank = rank.masked_fill(tokens != self.hidden, -torch.inf).flatten(1)
        chosen = torch.zeros_like(rank, dtype=torch.bool).scatter_(1, rank.topk(number, dim=1).indices, True)
        return torch.where(chosen.view_as(tokens), picked, tokens)

    def _repaired(self, answer: Answer, tokens: Tensor, settings: Sampling, generator: torch.Generator) -> Tensor:
        """Hide the voxels that the network doubts most, the hundredth part, and draw them again.

        Remasking after the fact, as in Wang et al. 2025 (arXiv 2503.00307), with the confidence of a voxel judged
        while a random third of all voxels is hidden: a network that sees a voxel has no reason to doubt it.
        """
        hide = torch.rand(tokens.shape, generator=generator, device=tokens.device) < 1 / 3
        t = torch.full((len(tokens),), 1 / 3, device=tokens.device)
        logits = answer(self._seen(tokens.masked_fill(hide, self.hidden)), t).movedim(1, -1).float()
        kept = torch.log_softmax(logits, -1).gather(-1, tokens[..., None])[..., 0].masked_fill(~hide, 0.0)
        number = max(1, tokens[0].numel() // 100)
        worst = kept.flatten(1).topk(number, dim=1, largest=False).indices
        again = torch.zeros_like(kept.flatten(1), dtype=torch.bool).scatter_(1, worst, True).view_as(tokens)
        tokens = tokens.masked_fill(again, self.hidden)
        t = torch.full((len(tokens),), number / tokens[0].numel(), device=tokens.device)
        picked, _ = drawn(answer(self._seen(tokens), t).movedim(1, -1), settings.effective_temperature, generator)
        return torch.where(again, picked, tokens)

    def _seen(self, tokens: Tensor) -> Tensor:
        """What the network is given: one channel a token and one for hidden, (n, inputs, x, y, z)."""
        seen = torch.zeros((len(tokens), self.inputs, *tokens.shape[1:]), device=tokens.device)
        return seen.scatter_(1, tokens[:, None], 1.0)  # several times faster than one_hot, which makes int64
