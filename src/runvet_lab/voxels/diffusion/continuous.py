"""Gaussian diffusion with DDIM sampling, on one-hot vectors, analog bits, or block ids as one number.

One-hot and analog bits (Chen et al. 2022, arXiv 2208.04202) are the choices for ids, which are names. `ids` regresses the
id as an amount, id / 127.5 - 1, as the founding case did; it is here because its failures must be recognised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.voxels.diffusion.process import Answer, Net, Outcome, Sampling, levels
from runvet_lab.voxels.diffusion.schedule import TIMES, signal, visited

TARGETS = ("onehot", "bits", "ids")
HALF = 127.5  # an id as a number in [-1, 1] is id / HALF - 1


class Continuous:
    """Noise is added to a code of the tokens; the network predicts the noise (`eps`) or the clean code (`x0`).

    `extra` channels that never change are appended to the code: metadata that hold nothing.
    """

    def __init__(
        self,
        ids: Tensor,
        air: int,
        *,
        target: str = "onehot",
        predicts: str = "x0",
        noise_schedule: str = "linear",
        extra: int = 0,
    ) -> None:
        if target not in TARGETS:
            raise ValueError(f"train.target: {target!r} is not known; known are {', '.join(TARGETS)}")
        if predicts not in ("eps", "x0"):
            raise ValueError(f"train.prediction_type: {predicts!r} is not known; known are eps, x0")
        self.ids, self.air, self.target, self.predicts, self.extra = ids, air, target, predicts, extra
        self.signal = signal(noise_schedule).to(ids.device)
        self.bits = max(1, math.ceil(math.log2(len(ids))))
        self.inputs = {"onehot": len(ids), "bits": self.bits, "ids": 1}[target] + extra
        self.outputs = self.inputs

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens (n, x, y, z) as numbers in [-1, 1], (n, inputs, x, y, z)."""
        if self.target == "onehot":
            code = functional.one_hot(tokens, len(self.ids)).movedim(-1, 1).float() * 2 - 1
        elif self.target == "bits":
            places = torch.arange(self.bits, device=tokens.device)[:, None, None, None]
            code = ((tokens[:, None] >> places) & 1).float() * 2 - 1
        else:
            code = (self.ids[tokens].float() / HALF - 1)[:, None]
        return functional.pad(code, (0, 0, 0, 0, 0, 0, 0, self.extra), value=-1.0) if self.extra else code

    def decode(self, code: Tensor, settings: Sampling) -> Tensor:
        """Block ids (n, x, y, z) from numbers."""
        code = code[:, : self.inputs - self.extra]
        if self.target == "onehot":
            return self.ids[code.argmax(1)]
        if self.target == "bits":
            places = torch.arange(self.bits, device=code.device)[:, None, None, None]
            return self.ids[((code > 0).long() << places).sum(1).clamp(max=len(self.ids) - 1)]
        number = (code[:, 0] + 1) * HALF
        if settings.decode == "truncate":
            return number.clamp(0, 255).long()
        if settings.decode == "round":
            return number.round().clamp(0, 255).long()
        if settings.decode == "nearest":
            return self.ids[(number[..., None] - self.ids.float()).abs().argmin(-1)]
        raise ValueError(f"sampling.decode: {settings.decode!r} is not known; known are nearest, round, truncate")

    def loss(
        self, net: Net, tokens: Tensor, prompts: Sequence[str], generator: torch.Generator, *, numbers: bool = True
    ) -> Outcome:
        """Mean squared error of the noise, or of the code with weights min(SNR, 5) (Hang et al. 2023, arXiv 2303.09556)."""
        clean = self.encode(tokens)
        index = (levels(len(tokens), generator) * TIMES).long()
        keep = self.signal[index].float()[:, None, None, None, None]
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        answer = net(keep.sqrt() * clean + (1 - keep).sqrt() * noise, (index + 1) / TIMES, prompts).float()
        error = (answer - (noise if self.predicts == "eps" else clean)) ** 2
        if self.predicts == "x0":
            error = error * (keep / (1 - keep)).clamp(0.05, 5.0)
        told = {"loss_constant_channels": error[:, self.inputs - self.extra :].mean().detach()} if self.extra else {}
        return Outcome(error.mean(), told if numbers else {})

    def sample(
        self, answer: Answer, shape: tuple[int, int, int, int], settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Block ids by deterministic DDIM (Song et al. 2021, arXiv 2010.02502) along the schedule of the settings."""
        device = self.ids.device
        keep = signal(settings.noise_schedule).to(device)
        x = torch.randn((shape[0], self.inputs, *shape[1:]), generator=generator, device=device)
        times = visited(settings.num_inference_steps)
        for step, index in enumerate(times):
            here = keep[index].float()
            after = keep[times[step + 1]].float() if step + 1 < len(times) else torch.ones((), device=device)
            told = answer(x, torch.full((shape[0],), (index + 1) / TIMES, device=device)).float()
            clean = (x - (1 - here).sqrt() * told) / here.sqrt() if self.predicts == "eps" else told
            if settings.clip or self.predicts == "x0":
                clean = clean.clamp(-1, 1)
            noise = (x - here.sqrt() * clean) / (1 - here).sqrt().clamp(min=1e-6)
            x = after.sqrt() * clean + (1 - after).sqrt() * noise * settings.effective_temperature
        return self.decode(x, settings)
