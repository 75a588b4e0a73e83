"""Frames to codes and back: each patch by itself to a code, and a transformer over all codes of a frame back to pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runvet_lab.worlds.models.codes import FSQ, VQ
from runvet_lab.worlds.models.transformer import SpaceTime


class Tokenizer(nn.Module):
    """`encode` (b, t, h, w, 3) uint8 to codes (b, t, places) and `decode` to pictures (b, t, 3, h, w) in 0 .. 1."""

    def __init__(
        self,
        *,
        side: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        levels: list[int],
        codebook: int = 0,
        times: int = 16,
    ) -> None:
        super().__init__()
        if side % patch:
            raise ValueError(f"pictures of {side} pixels can't be cut into patches of {patch}")
        self.patch, self.grid = patch, side // patch
        self.codes: FSQ | VQ = VQ(codebook, 16) if codebook else FSQ(levels)
        places = self.grid**2
        self.into = nn.Linear(3 * patch**2, width)
        # A code tells what is seen at its place alone: where nothing changes, no code does.
        self.encoder = SpaceTime(width, depth, heads, places=places, times=times, over_space=False)
        self.narrow, self.widen = nn.Linear(width, self.codes.width), nn.Linear(self.codes.width, width)
        self.decoder = SpaceTime(width, depth, heads, places=places, times=times)
        self.out = nn.Linear(width, 3 * patch**2)

    @property
    def vocabulary(self) -> int:
        """How many codes there are."""
        return self.codes.size

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures again (b, t, 3, h, w), and the codes (b, t, places)."""
        values, code = self.codes(self.narrow(self.encoder(self.into(self._patches(pixels(frames))))))
        return self._pictures(values), code

    def encode(self, frames: Tensor) -> Tensor:
        """Codes (b, t, places)."""
        code: Tensor = self.codes(self.narrow(self.encoder(self.into(self._patches(pixels(frames))))))[1]
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Pictures of codes."""
        return self._pictures(self.codes.values(code))

    def table(self) -> Tensor:
        """The values (codes, parts) that each code stands for."""
        return self.codes.values(torch.arange(self.vocabulary)).detach()

    def _pictures(self, values: Tensor) -> Tensor:
        patches = torch.sigmoid(self.out(self.decoder(self.widen(values))))
        grid, patch = self.grid, self.patch
        split = patches.unflatten(2, (grid, grid)).unflatten(-1, (3, patch, patch))  # b t row column 3 y x
        return split.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)

    def _patches(self, pictures: Tensor) -> Tensor:
        patch = self.patch
        split = pictures.unflatten(4, (-1, patch)).unflatten(3, (-1, patch))  # b t 3 row y column x
        return split.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)


def pixels(frames: Tensor) -> Tensor:
    """uint8 (b, t, h, w, 3) as float (b, t, 3, h, w) in 0 .. 1."""
    return frames.movedim(-1, 2).float() / 255


def reconstruction(made: Tensor, frames: Tensor, changed_weight: float, squared: float = 0.0) -> Tensor:
    """Mean absolute error and `squared` times the mean squared one, with pixels that differ from the frame before counted
    `changed_weight` times.
    """
    truth = pixels(frames)
    error = (made - truth).abs()
    error = error + squared * error**2
    if changed_weight == 1:
        return error.mean()
    moved = torch.zeros_like(truth[:, :, :1])
    moved[:, 1:] = ((truth[:, 1:] - truth[:, :-1]).abs().amax(2, keepdim=True) > 0.02).float()
    weight = 1 + (changed_weight - 1) * moved
    return (error * weight).sum() / (weight.sum() * 3)
