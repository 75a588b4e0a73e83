"""What every diffusion process has in common: the loss of a batch, and samples from noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

Net: TypeAlias = Callable[[Tensor, Tensor, Sequence[str]], Tensor]  # input, noise level (n,), prompts
Answer: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # the same with prompts and guidance inside


@dataclass
class Outcome:
    """The loss of a batch, and numbers to log (each a scalar tensor; nothing waits for the device)."""

    loss: Tensor
    numbers: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Sampling:
    """How samples are drawn."""

    num_inference_steps: int = 48
    temperature: float = 1.0
    temperature_again: bool = False  # apply it a second time, as code does where two layers both think it theirs
    guidance_scale: float = 1.5
    guidance_until: float = 1.0  # share of the steps that are guided, from the first on
    use_prompt: bool = True  # False: the prompt is lost on its way to the sampler
    order: str = "random"  # masked diffusion: which voxels are shown first: random, confidence
    pace: float = 2.0  # masked diffusion: share shown after step s of n is (s / n) ** pace
    stride: str = "jump"  # uniform diffusion: posterior between the times visited (jump) or of neighbouring ones (one)
    repairs: int = 0  # masked diffusion: how often a part of the voxels is hidden and drawn again at the end
    repair_temperature: float = 0.7
    noise_schedule: str = "linear"  # has to be the training's
    air_id: int = 0  # the code of air in what is written
    clip: bool = False  # continuous diffusion: clip the estimate of x0 to the range of the data
    decode: str = "nearest"  # scalar ids: nearest id of the vocabulary, round, truncate

    @property
    def effective_temperature(self) -> float:
        """What logits are divided by in the end."""
        return self.temperature**2 if self.temperature_again else self.temperature


class Process(Protocol):
    """A way of adding noise to grids of tokens and of taking it away. Channels: what the network sees and answers."""

    inputs: int
    outputs: int

    def loss(
        self, net: Net, tokens: Tensor, prompts: Sequence[str], generator: torch.Generator, *, numbers: bool = True
    ) -> Outcome:
        """Loss of tokens (n, x, y, z), int64, under their prompts; with `numbers` more to log."""

    def sample(
        self, answer: Answer, shape: tuple[int, int, int, int], settings: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Block ids (n, x, y, z), int64, drawn from noise."""


def levels(n: int, generator: torch.Generator) -> Tensor:
    """n numbers in [0, 1), one in each n-th part, in random order: less noise in the loss than n free draws."""
    device = generator.device
    strata = torch.randperm(n, generator=generator, device=device)
    return (strata + torch.rand(n, generator=generator, device=device)) / n


def drawn(logits: Tensor, temperature: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A class for each row of logits (..., classes) by the Gumbel trick, and the log-probability that it had."""
    scaled = logits.float() / max(temperature, 1e-6)
    uniform = torch.rand(scaled.shape, generator=generator, device=scaled.device).clamp_(1e-20, 1 - 1e-7)
    picked = (scaled - (-uniform.log()).log()).argmax(dim=-1)
    sure = torch.log_softmax(scaled, dim=-1).gather(-1, picked[..., None])[..., 0]
    return picked, sure
