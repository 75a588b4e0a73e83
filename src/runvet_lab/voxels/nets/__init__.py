"""Networks: what a voxel grid is answered with, at a noise level and under a condition."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from runvet_lab.voxels.nets.transformer import PatchTransformer
from runvet_lab.voxels.nets.unet import UNet3d


@dataclass
class NetConfig:
    """The network: `unet` or `transformer`. `patch` voxels a side are one cell (U-Net) or token (transformer)."""

    kind: str = "unet"
    patch: int = 2
    heads: int = 4
    width: int = 192  # transformer
    depth: int = 6  # transformer
    lines: bool = True  # transformer: means along lines of voxels beside the patches; masked diffusion only
    channels: list[int] = field(default_factory=lambda: [64, 192])  # U-Net: width of each level
    num_res_blocks: int = 1  # U-Net: on both sides of each level
    attention_levels: list[int] = field(default_factory=list)  # U-Net: levels with attention after each block
    middle_blocks: int = 4  # U-Net: transformer blocks at the smallest level


def build(config: NetConfig, inputs: int, outputs: int, size: tuple[int, int, int], text: int) -> nn.Module:
    """The network of a configuration for so many channels. Raises ValueError for what does not fit together."""
    if config.kind == "transformer":
        return PatchTransformer(
            inputs, outputs, size, text, width=config.width, depth=config.depth, heads=config.heads, patch=config.patch,
            lines=config.lines,
        )  # fmt: skip
    if config.kind == "unet":
        return UNet3d(
            inputs, outputs, size, text, channels=config.channels, blocks=config.num_res_blocks,
            attention=config.attention_levels, middle=config.middle_blocks, heads=config.heads, patch=config.patch,
        )  # fmt: skip
    raise ValueError(f"net.kind: {config.kind!r} is not known; known are unet, transformer")
