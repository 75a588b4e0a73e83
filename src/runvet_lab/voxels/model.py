"""The trained whole: text encoder and network as one module, its diffusion process, and answers under guidance."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from runvet_lab.voxels import nets, text
from runvet_lab.voxels.config import Config
from runvet_lab.voxels.diffusion.continuous import Continuous
from runvet_lab.voxels.diffusion.hierarchy import Hierarchy
from runvet_lab.voxels.diffusion.masked import Masked
from runvet_lab.voxels.diffusion.process import Answer, Process, Sampling
from runvet_lab.voxels.diffusion.uniform import Uniform
from runvet_lab.voxels.nets.cubes import CubeTransformer
from runvet_lab.voxels.tokens import Vocabulary

Size = tuple[int, int, int]


class Model(nn.Module):
    """Noisy grids (n, inputs, x, y, z), noise levels (n,) and prompts to answers (n, outputs, x, y, z).

    With a coarse stage, the configured network answers grids of the coarse size, and a transformer the cubes that they fill.
    """

    def __init__(self, config: Config, process: Process, size: Size) -> None:
        super().__init__()
        self.text = text.encoder(config.text)
        # Lines of noise mislead: with them, samples of uniform and continuous diffusion got worse (measured).
        net = replace(config.net, lines=config.net.lines and config.train.objective == "masked")
        self.coarse: nn.Module | None = None
        self.net: nn.Module
        if isinstance(process, Hierarchy):
            factor = config.train.coarse
            if any(length % factor for length in size):
                raise ValueError(f"train.coarse: {factor} does not divide the size {size}")
            small = (size[0] // factor, size[1] // factor, size[2] // factor)
            self.coarse_inputs = process.coarse_inputs
            self.coarse = nets.build(net, process.coarse_inputs, process.outputs, small, config.text.width)
            self.net = CubeTransformer(
                process.inputs, process.outputs, size, config.text.width,
                width=net.width, depth=net.depth, heads=net.heads, patch=net.patch,
            )  # fmt: skip
        else:
            self.net = nets.build(net, process.inputs, process.outputs, size, config.text.width)

    def forward(self, x: Tensor, t: Tensor, prompts: Sequence[str]) -> Tensor:
        """Answers of the network whose channels fit; an empty prompt is no condition."""
        condition = self.text(prompts)
        net = self.coarse if self.coarse is not None and x.shape[1] == self.coarse_inputs else self.net
        answer: Tensor = net(x, t, condition)
        return answer


def process(config: Config, vocabulary: Vocabulary, device: torch.device | str = "cpu") -> Process:
    """The diffusion process of a configuration. Raises ValueError for unknown names."""
    ids = torch.tensor(vocabulary.ids, device=device)
    made = _process(config, ids, vocabulary.air_token)
    if not config.train.coarse:
        return made
    train = config.train
    return Hierarchy(made, ids, vocabulary.air_token, train.coarse, patch=config.net.patch, fine_share=train.fine_share)


def _process(config: Config, ids: Tensor, air: int) -> Process:
    train = config.train
    if train.objective == "masked":
        return Masked(ids, air, pace=config.sampling.pace)
    if train.objective == "uniform":
        return Uniform(
            ids, air, noise_schedule=train.noise_schedule, soft=train.soft_inputs, stride=config.sampling.stride
        )
    if train.objective == "continuous":
        return Continuous(
            ids,
            air,
            target=train.target,
            predicts=train.prediction_type,
            noise_schedule=train.noise_schedule,
            extra=train.in_channels - 1,
        )
    raise ValueError(f"train.objective: {train.objective!r} is not known; known are masked, uniform, continuous")


def guided(
    model: Callable[[Tensor, Tensor, Sequence[str]], Tensor], prompts: Sequence[str], settings: Sampling
) -> Answer:
    """Answers for prompts under classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598).

    Only the first `guidance_until` of the noise levels are guided: what is decided late needs no push
    (Kynkaanniemi et al. 2024, arXiv 2404.07724), and costs half.
    """
    scale = settings.guidance_scale

    def answer(x: Tensor, t: Tensor) -> Tensor:
        if scale == 1 or float(t[0]) < 1 - settings.guidance_until:
            return model(x, t, prompts)
        both = model(torch.cat([x, x]), torch.cat([t, t]), [*prompts, *[""] * len(prompts)])
        told, free = both.chunk(2)
        return free + scale * (told - free)

    return answer


class Average(nn.Module):
    """The exponential moving average of a module's parameters; it follows quickly at first."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        import copy

        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module's parameters after training step `step` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), [p.detach() for p in module.parameters()], 1 - decay)


@contextlib.contextmanager
def evaluating(module: nn.Module, fabric: Any) -> Iterator[nn.Module]:
    """The module in evaluation mode, without gradients, at the training's precision."""
    was = module.training
    module.eval()
    try:
        with torch.no_grad(), fabric.autocast():
            yield module
    finally:
        module.train(was)
