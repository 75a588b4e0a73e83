"""Coarse to fine: a grid of a fraction of the size first, then the whole one with the coarse grid in view."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.voxels.diffusion.process import Answer, Net, Outcome, Process, Sampling


class Hierarchy:
    """Two processes of one kind over the same ids. The network tells the stages apart by the size of what it sees.

    `inputs` are the channels of the fine stage: its own, and one a token for the coarse grid.
    """

    def __init__(self, fine: Process, ids: Tensor, air: int, factor: int, *, fine_share: float = 1.0) -> None:
        self.fine_share = fine_share
        self.fine, self.ids, self.air, self.factor = fine, ids, air, factor
        self.coarse_inputs = fine.inputs
        self.inputs, self.outputs = fine.inputs + len(ids), fine.outputs

    def loss(
        self, net: Net, tokens: Tensor, prompts: Sequence[str], generator: torch.Generator, *, numbers: bool = True
    ) -> Outcome:
        """The sum of both stages' losses; the fine one sees the true coarse grid.

        In training the fine stage takes part in a random `fine_share` of the steps, unweighted; in evaluation always.
        """
        small = coarser(tokens, self.factor, len(self.ids), self.air)
        first = self.fine.loss(net, small, prompts, generator, numbers=numbers)
        if torch.is_grad_enabled() and self._skipped(generator):
            return Outcome(first.loss, {"loss_coarse": first.loss.detach()} if numbers else {})
        view = self._view(small)
        second = self.fine.loss(
            lambda x, t, p: net(torch.cat([x, view], 1), t, p), tokens, prompts, generator, numbers=numbers
        )
        told = second.numbers | (
            {"loss_coarse": first.loss.detach(), "loss_fine": second.loss.detach()} if numbers else {}
        )
        return Outcome(first.loss + second.loss, told)

    def _skipped(self, generator: torch.Generator) -> bool:
        return (
            self.fine_share < 1
            and float(torch.rand((), generator=generator, device=generator.device)) >= self.fine_share
        )

    def sample(
        self, answer: Answer, shape: tuple[int, int, int, int], settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Block ids (n, x, y, z)."""
        n, x, y, z = shape
        half = (n, x // self.factor, y // self.factor, z // self.factor)
        small = torch.searchsorted(self.ids, self.fine.sample(answer, half, settings, generator))
        view = self._view(small.clamp(max=len(self.ids) - 1))
        return self.fine.sample(lambda state, t: answer(torch.cat([state, view], 1), t), shape, settings, generator)

    def _view(self, small: Tensor) -> Tensor:
        """The coarse tokens as channels at the full size, (n, tokens, x, y, z)."""
        channels = functional.one_hot(small, len(self.ids)).movedim(-1, 1).float()
        for axis in (2, 3, 4):
            channels = channels.repeat_interleave(self.factor, dim=axis)
        return channels


def coarser(tokens: Tensor, factor: int, size: int, air: int) -> Tensor:
    """Tokens of cubes of `factor` voxels a side: the most frequent one that is not air; air where nothing else is."""
    n, x, y, z = tokens.shape
    cubes = tokens.view(n, x // factor, factor, y // factor, factor, z // factor, factor)
    counts = functional.one_hot(cubes, size).sum(dim=(2, 4, 6))
    counts[..., air] = 0
    return torch.where(counts.sum(-1) > 0, counts.argmax(-1), air)
