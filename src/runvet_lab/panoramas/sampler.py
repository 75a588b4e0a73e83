"""Which samples each rank sees in each step, and how many steps an epoch has: (samples // batch) // world size.

The length follows the world size exactly: 40,000 samples in batches of 2 are 5,000 steps on 4 ranks and 4,000 on 5. What
is planned in epochs (warm-up, cosine, checkpoints) then means another number of optimiser steps. `fixed` keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Plan:
    """The arithmetic of a training. `fixed`: steps of an epoch whatever the world size, 0 to follow the data."""

    samples: int
    batch: int
    world_size: int
    epochs: int
    fixed: int = 0

    @property
    def steps(self) -> int:
        """Steps of an epoch, the length of the loader. Raises ValueError where there is not one."""
        made = self.fixed or (self.samples // self.batch) // self.world_size
        if made < 1:
            raise ValueError(
                f"{self.samples} samples in batches of {self.batch} on {self.world_size} ranks make no step; "
                "take a smaller batch, fewer ranks, or set train.steps_per_epoch"
            )
        return made

    @property
    def total(self) -> int:
        """Optimiser steps of the whole training."""
        return self.steps * self.epochs

    @property
    def seen(self) -> int:
        """Samples that one step of all ranks sees."""
        return self.batch * self.world_size

    def batches(self, rank: int, epoch: int, seed: int) -> Iterator[Tensor]:
        """Sample numbers (batch,) for each step of an epoch on one rank; ranks never share a batch within a pass.

        With `fixed`, passes through the data go on where the epoch before stopped.
        """
        count = self.samples // self.batch
        begin = epoch * self.steps * self.world_size if self.fixed else epoch * count
        known: tuple[int, Tensor] | None = None
        for step in range(self.steps):
            number, place = divmod(begin + step * self.world_size + rank, count)
            if known is None or known[0] != number:
                known = number, torch.randperm(self.samples, generator=_generator(seed, number))
            yield known[1][place * self.batch : (place + 1) * self.batch]


def seam(before: Plan, now: Plan) -> str:
    """What changes where a training goes on with another plan; empty where nothing does."""
    if (before.steps, before.world_size, before.samples) == (now.steps, now.world_size, now.samples):
        return ""
    return (
        f"world size {before.world_size} -> {now.world_size}, steps per epoch {before.steps} -> {now.steps}, "
        f"samples a step {before.seen} -> {now.seen}, samples of an epoch {before.steps * before.seen} -> "
        f"{now.steps * now.seen}, optimiser steps of the whole schedule {before.total} -> {now.total}"
    )


def _generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + number)
