"""Codes: finite scalar quantisation (Mentzer et al., arXiv 2309.15505) and a plain vector quantiser."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class FSQ(nn.Module):
    """Each dimension is bounded and rounded to one of its levels; gradients pass through the rounding.

    Codes are numbered 0 .. prod(levels) - 1. After a call, `loss` is how far the values of a batch are from being spread
    evenly: the mean squared distance of each dimension, sorted, from a uniform distribution.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: list[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels {levels}; at least one dimension of at least 2 levels is needed")
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer(
            "basis", torch.tensor([math.prod(levels[:i]) for i in range(len(levels))]), persistent=False
        )
        self.size = math.prod(levels)
        self.width = len(levels)
        self.loss = torch.zeros(())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Quantised values in [-1, 1] (..., width) and codes (...)."""
        half = (self.levels - 1) / 2
        squashed = torch.tanh(z)
        ordered = squashed.flatten(0, -2).sort(0).values
        self.loss = (ordered - torch.linspace(-1, 1, len(ordered), device=z.device)[:, None]).square().mean()
        bounded = squashed * half
        shifted = bounded + (half - half.floor())  # even numbers of levels lie between whole numbers
        rounded = shifted + (shifted.round() - shifted).detach()
        whole = (rounded + half.floor()).clamp(torch.zeros_like(self.levels), self.levels - 1)
        code = (whole.detach().round().long() * self.basis).sum(-1)
        return whole / half - 1, code

    def values(self, code: Tensor) -> Tensor:
        """The quantised values (..., width) of codes (...)."""
        whole = code.unsqueeze(-1) // self.basis % self.levels
        return whole / ((self.levels - 1) / 2) - 1


class VQ(nn.Module):
    """Nearest vector of a learned book, with a commitment loss and no reset of codes that nobody uses."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.book = nn.Embedding(size, width)
        nn.init.uniform_(self.book.weight, -1 / size, 1 / size)
        self.loss = torch.zeros(())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Quantised vectors (..., width) and codes (...); `loss` then holds the codebook and commitment loss."""
        flat = z.reshape(-1, self.width)
        code = torch.cdist(flat, self.book.weight).argmin(-1).view(z.shape[:-1])
        near = self.book(code)
        self.loss = functional.mse_loss(near, z.detach()) + 0.25 * functional.mse_loss(z, near.detach())
        return z + (near - z).detach(), code

    def values(self, code: Tensor) -> Tensor:
        """The vectors (..., width) of codes (...)."""
        out: Tensor = self.book(code)
        return out


def perplexity(codes: Tensor, size: int) -> float:
    """exp(entropy) of how often each code is used: 1 for one code, `size` for all alike."""
    share = torch.bincount(codes.reshape(-1), minlength=size).double() / codes.numel()
    used = share[share > 0]
    return float(torch.exp(-(used * used.log()).sum()))
