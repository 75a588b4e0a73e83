"""Coarse to fine: a grid of a fraction of the size first, then what it fills in detail."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.voxels.diffusion.patches import cut, filled, joined, picked, put
from runvet_lab.voxels.diffusion.process import Answer, Net, Outcome, Process, Sampling


class Hierarchy:
    """Two processes of one kind over the same ids. The network tells the stages apart by the channels that it sees.

    The fine stage works on cubes of `patch` voxels a side, and on those alone that the coarse grid fills: it is air
    elsewhere. It sees them side by side, (n, channels, cubes, patch, patch²). `inputs` are its channels: its own, one
    a token for the coarse grid, and one for the number of the cube in the whole grid.
    """

    def __init__(
        self, fine: Process, ids: Tensor, air: int, factor: int, *, patch: int, fine_share: float = 1.0
    ) -> None:
        if patch % factor:
            raise ValueError(f"net.patch: {patch} has to be a multiple of train.coarse, {factor}")
        self.fine, self.ids, self.air, self.factor, self.patch = fine, ids, air, factor, patch
        self.fine_share = fine_share
        self.coarse_inputs = fine.inputs
        self.inputs, self.outputs = fine.inputs + len(ids) + 1, fine.outputs

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
        index, view = self._view(small)
        cubes = self._apart(picked(cut(tokens, self.patch), index))
        second = self.fine.loss(
            lambda x, t, p: net(torch.cat([x, view], 1), t, p), cubes, prompts, generator, numbers=numbers
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
        index, view = self._view(small.clamp(max=len(self.ids) - 1))
        drawn = self.fine.sample(
            lambda state, t: answer(torch.cat([state, view], 1), t),
            (n, index.shape[1], self.patch, self.patch**2),
            settings,
            generator,
        )
        count = x * y * z // self.patch**3
        return joined(put(drawn.flatten(2), index, count, int(self.ids[self.air])), (x, y, z), self.patch)

    def _apart(self, cubes: Tensor) -> Tensor:
        """Cubes (n, most, patch³) as what a process takes for a grid, (n, most, patch, patch²)."""
        return cubes.unflatten(2, (self.patch, self.patch**2))

    def _view(self, small: Tensor) -> tuple[Tensor, Tensor]:
        """Which cubes the coarse grid fills, (n, most), and what it holds there: (n, tokens + 1, most, patch, patch²)."""
        side = self.patch // self.factor
        index = filled(small != self.air, side)
        cubes = picked(cut(small, side), index).unflatten(2, (side, side, side))
        for axis in (2, 3, 4):
            cubes = cubes.repeat_interleave(self.factor, dim=axis)
        tokens = self._apart(cubes.flatten(2))
        channels = functional.one_hot(tokens, len(self.ids)).movedim(-1, 1).float()
        number = index[:, None, :, None, None].expand(-1, -1, -1, self.patch, self.patch**2)
        return index, torch.cat([channels, number.float()], 1)


def coarser(tokens: Tensor, factor: int, size: int, air: int) -> Tensor:
    """Tokens of cubes of `factor` voxels a side: the most frequent one that is not air; air where nothing else is."""
    n, x, y, z = tokens.shape
    cubes = cut(tokens, factor)
    counts = torch.zeros(*cubes.shape[:2], size, dtype=torch.int16, device=tokens.device)
    counts.scatter_add_(2, cubes, torch.ones_like(cubes, dtype=torch.int16))
    counts[..., air] = 0
    most = torch.where(counts.sum(-1) > 0, counts.argmax(-1), air)
    return most.view(n, x // factor, y // factor, z // factor)
