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

REPAIRED = (0.7, 0.05)  # share of the voxels that the first repair draws again, and the last one


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
        if settings.order not in ("random", "confidence"):
            raise ValueError(f"sampling.order: {settings.order!r} is not known; known are random, confidence")
        device = self.ids.device
        tokens = torch.full(shape, self.hidden, device=device)
        cells = tokens[0].numel()
        order = torch.rand((shape[0], cells), generator=generator, device=device).argsort(1)
        shown = 0
        for step in range(1, settings.num_inference_steps + 1):
            if shown == cells:
                break
            t = torch.full((shape[0],), 1 - shown / cells, device=device)
            due = round(cells * (step / settings.num_inference_steps) ** settings.pace)
            now = cells if step == settings.num_inference_steps else min(cells, max(shown + 1, due))
            logits = answer(self._seen(tokens), t)
            tokens = self._show(logits, tokens, order[:, shown:now], settings, generator)
            shown = now
        for share in torch.linspace(*REPAIRED, settings.repairs).tolist():
            tokens = self._repaired(answer, tokens, share, settings, generator)
        return self.ids[tokens]

    def _show(
        self, logits: Tensor, tokens: Tensor, places: Tensor, settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Draw the voxels at `places` (n, number), or as many of the surest ones, each under its own logits."""
        flat, classes = logits.flatten(2), logits.shape[1]
        if settings.order == "confidence":
            picked, sure = drawn(flat.movedim(1, -1), settings.effective_temperature, generator)
            sure = sure.masked_fill(tokens.flatten(1) != self.hidden, -torch.inf)
            places = sure.topk(places.shape[1], dim=1).indices
            picked = picked.gather(1, places)
        else:  # a draw of all voxels would cost as much as the network
            due = flat.gather(2, places[:, None].expand(-1, classes, -1))
            picked, _ = drawn(due.movedim(1, -1), settings.effective_temperature, generator)
        return tokens.flatten(1).scatter(1, places, picked).view_as(tokens)

    def _repaired(
        self, answer: Answer, tokens: Tensor, share: float, settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Hide a random `share` of the voxels and draw them again from what is left.

        Remasking after the fact, as in Wang et al. 2025 (arXiv 2503.00307), here as Gibbs sweeps over ever smaller
        parts: the first ones settle where a shape stands, the last ones mend single voxels.
        """
        hide = torch.rand(tokens.shape, generator=generator, device=tokens.device) < share
        t = torch.full((len(tokens),), share, device=tokens.device)
        logits = answer(self._seen(tokens.masked_fill(hide, self.hidden)), t).movedim(1, -1)
        picked, _ = drawn(logits, settings.repair_temperature, generator)
        return torch.where(hide, picked, tokens)

    def _seen(self, tokens: Tensor) -> Tensor:
        """What the network is given: one channel a token and one for hidden, (n, inputs, x, y, z)."""
        seen = torch.zeros((len(tokens), self.inputs, *tokens.shape[1:]), device=tokens.device)
        return seen.scatter_(1, tokens[:, None], 1.0)  # several times faster than one_hot, which makes int64
