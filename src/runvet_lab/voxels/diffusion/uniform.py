"""Uniform discrete diffusion (D3PM; Austin et al. 2021, arXiv 2107.03006): a voxel keeps its token or gets any other one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.voxels.diffusion.process import Answer, Net, Outcome, Sampling, drawn, levels
from runvet_lab.voxels.diffusion.schedule import TIMES, signal, visited


class Uniform:
    """The network predicts the clean tokens; the posterior draws the state of the step before.

    Two faults of the second founding case are choices here. `soft`: the network is given the mixture
    abar * onehot + (1 - abar) / K instead of a state drawn from it, whose largest entry is the answer. `stride`:
    "jump" uses the posterior between the two times visited, "one" that of neighbouring times, which moves too little.
    """

    def __init__(
        self, ids: Tensor, air: int, *, noise_schedule: str = "cosine", soft: bool = False, stride: str = "jump"
    ) -> None:
        if stride not in ("jump", "one"):
            raise ValueError(f"sampling.stride: {stride!r} is not known; known are jump, one")
        self.ids, self.air, self.soft, self.stride = ids, air, soft, stride
        self.signal = signal(noise_schedule).to(ids.device)
        self.inputs = self.outputs = len(ids)

    def loss(
        self, net: Net, tokens: Tensor, prompts: Sequence[str], generator: torch.Generator, *, numbers: bool = True
    ) -> Outcome:
        """Mean cross entropy of the clean tokens, all voxels."""
        index = (levels(len(tokens), generator) * TIMES).long()
        keep = self.signal[index].float()[:, None, None, None]
        size = len(self.ids)
        clean = functional.one_hot(tokens, size).movedim(-1, 1).float()
        if self.soft:
            seen = keep[:, None] * clean + (1 - keep[:, None]) / size
        else:
            stays = torch.rand(tokens.shape, generator=generator, device=tokens.device) < keep
            other = torch.randint(size, tokens.shape, generator=generator, device=tokens.device)
            seen = functional.one_hot(torch.where(stays, tokens, other), size).movedim(-1, 1).float()
        logits = net(seen, (index + 1) / TIMES, prompts).float()
        loss = functional.cross_entropy(logits, tokens)
        if not numbers:
            return Outcome(loss)
        with torch.no_grad():
            right, solid = logits.argmax(1) == tokens, tokens != self.air
            told = {
                "accuracy": right.float().mean(),
                "recall_solid": (right & solid).sum() / solid.sum().clamp(min=1),
                "copying_input_right": (seen.argmax(1) == tokens).float().mean(),
            }
        return Outcome(loss, told)

    def sample(
        self, answer: Answer, shape: tuple[int, int, int, int], settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Block ids by ancestral sampling; with soft inputs by iterating the mean, as that code did."""
        size, device = len(self.ids), self.ids.device
        state = torch.full((shape[0], size, *shape[1:]), 1 / size, device=device)
        if not self.soft:
            tokens = torch.randint(size, shape, generator=generator, device=device)
            state = functional.one_hot(tokens, size).movedim(-1, 1).float()
        times = visited(settings.num_inference_steps)
        for step, index in enumerate(times):
            t = torch.full((shape[0],), (index + 1) / TIMES, device=device)
            logits = answer(state, t).float() / max(settings.effective_temperature, 1e-6)
            last = step + 1 == len(times)
            before = index - 1 if self.stride == "one" else times[step + 1] if not last else -1
            chance = torch.softmax(logits, 1)
            if not last:
                chance = self._posterior(state, chance, index, before)
            if self.soft:
                state = chance
                continue
            tokens, _ = drawn(chance.clamp(min=1e-30).log().movedim(1, -1), 1.0, generator)
            state = functional.one_hot(tokens, size).movedim(-1, 1).float()
        return self.ids[state.argmax(1)]

    def _posterior(self, state: Tensor, clean: Tensor, index: int, before: int) -> Tensor:
        """q(x_before | x_index, x0) summed over the predicted x0: (n, size, x, y, z)."""
        size = len(self.ids)
        later = float(self.signal[index])
        sooner = float(self.signal[before]) if before >= 0 else 1.0
        step = later / sooner
        # For each x0 = k: [step x_t + (1 - step) / K] * [sooner onehot(k) + (1 - sooner) / K] / q(x_t | k)
        forward = step * state + (1 - step) / size
        seen = later * state + (1 - later) / size  # q(x_t | x0 = k) for every k
        weight = clean / seen
        mixed = sooner * weight + (1 - sooner) / size * weight.sum(1, keepdim=True)
        posterior = forward * mixed
        return posterior / posterior.sum(1, keepdim=True)
