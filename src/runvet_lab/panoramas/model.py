"""Several panoramas to ray depth, relative pose, metric scale and a mask: one network, separate encoders for its heads.

Panoramas close on themselves: columns are padded from the other side, rows by repeating the edge.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from runvet_lab.base.extra import need
from runvet_lab.panoramas.config import Model

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as picture encoders expect
REACH = 30.0  # metres that a code of 1 means


class Out(NamedTuple):
    """Outputs for s samples of n views. `depth` (s, n, r, c): log of depth over scale; `scale` (s, n): log metres;
    `mask` (s, n, r, c) logits; `sure` (s, n, r, c): log confidence; `move` (s, n, n, 2): metres from view i to view j
    in the heading of view i; `turn` (s, n, n): heading of j seen from i, radians.
    """

    depth: Tensor
    scale: Tensor
    mask: Tensor
    sure: Tensor
    move: Tensor
    turn: Tensor

    @property
    def metres(self) -> Tensor:
        """Depth along the ray (s, n, r, c)."""
        return (self.depth + self.scale[..., None, None]).exp()


class Panoramas(nn.Module):
    """`forward(pictures, compass)`: float32 (s, n, 3, r, c) normalised, and (s, n) roughly known headings in radians,
    seen from view 0 -> Out.
    """

    def __init__(self, config: Model, rows: int, columns: int) -> None:
        super().__init__()
        self.config = config
        self.dense = Dense(config)
        if config.pose_head not in ("difference", "pooled"):
            raise ValueError(f"unknown pose head {config.pose_head!r}; known are difference and pooled")
        self.pose = Codes(config, rows, columns) if config.pose_head == "difference" else Pooled(self.dense.features)

    def forward(self, pictures: Tensor, compass: Tensor) -> Out:
        """All heads."""
        samples, views = pictures.shape[:2]
        depth, mask, sure, scale, tokens = self.dense(pictures.flatten(0, 1))

        def shaped(one: Tensor) -> Tensor:
            return one.unflatten(0, (samples, views))

        if isinstance(self.pose, Codes):
            move, turn = self.pose(pictures, compass)
        else:
            move, turn = self.pose(shaped(tokens))
        return Out(shaped(depth), shaped(scale), shaped(mask), shaped(sure), move, turn)


class Around(nn.Conv2d):
    """3 x 3 convolution of a panorama: columns go around, rows end with zeros, which tell the height."""

    def __init__(self, channels: int, out: int, stride: int | tuple[int, int] = 1) -> None:
        super().__init__(channels, out, 3, stride=stride, padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, r, c) -> (n, out, r / stride, c / stride), rounded up."""
        return super().forward(torch.cat([x[..., -1:], x, x[..., :1]], -1))


class Dense(nn.Module):
    """A U-net from half the resolution downwards, with a transformer over azimuths at its bottom; each place of the upper
    stage gives the four pixels that it stands for. Frozen features by path are added at the bottom.
    """

    def __init__(self, config: Model) -> None:
        super().__init__()
        w = config.width
        self.features = 3 * w
        self.down1 = nn.Sequential(Around(4, w, 2), nn.SiLU(), Around(w, w), _norm(w), nn.SiLU())
        self.down2 = nn.Sequential(
            Around(w, 2 * w, 2), _norm(2 * w), nn.SiLU(), Around(2 * w, 2 * w), _norm(2 * w), nn.SiLU()
        )
        self.down3 = nn.Sequential(Around(2 * w, 3 * w, (2, 1)), _norm(3 * w), nn.SiLU())
        self.given = None if config.backbone == "tiny" else Frozen(config.backbone, self.features)
        layer = nn.TransformerEncoderLayer(
            self.features, 4, 2 * self.features, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.mix = nn.TransformerEncoder(layer, config.blocks, enable_nested_tensor=False)
        self.up2 = nn.Sequential(Around(5 * w, 2 * w), _norm(2 * w), nn.SiLU())
        self.up1 = nn.Sequential(Around(3 * w, w), _norm(w), nn.SiLU(), Around(w, w), nn.SiLU())
        self.maps = nn.Sequential(Around(w, 3 * 4), nn.PixelShuffle(2))
        last = nn.Linear(w, 1)
        nn.init.constant_(last.bias, math.log(10.0))
        self.scale = nn.Sequential(nn.Linear(self.features, w), nn.SiLU(), last)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(n, 3, r, c) -> depth, mask, confidence (n, r, c) each, scale (n,), tokens (n, azimuths, features)."""
        n, _, rows, columns = pictures.shape
        height = torch.linspace(1, -1, rows, device=pictures.device, dtype=pictures.dtype)
        one = self.down1(torch.cat([pictures, height[:, None].expand(n, 1, rows, columns)], 1))
        two = self.down2(one)
        three = self.down3(two)
        if self.given is not None:
            three = three + self.given(pictures, three.shape[-2:])
        tokens = self.mix(three.mean(2).transpose(1, 2))
        three = three + tokens.transpose(1, 2)[:, :, None]
        up = self.up2(torch.cat([_like(three, two), two], 1))
        maps = self.maps(self.up1(torch.cat([_like(up, one), one], 1)))[..., :rows, :columns]
        return maps[:, 0], maps[:, 1], maps[:, 2], self.scale(tokens.mean(1))[:, 0], tokens


class Codes(nn.Module):
    """A place code for each panorama, turned by the compass first; relative pose is the difference of two codes."""

    def __init__(self, config: Model, rows: int, columns: int) -> None:
        super().__init__()
        w = config.pose_width
        self.body = nn.Sequential(
            Around(3, w, (1, 2)), nn.SiLU(), Around(w, 2 * w, 2), nn.SiLU(), Around(2 * w, 2 * w, 2), nn.SiLU(),
            Around(2 * w, 2 * w), nn.SiLU(), nn.Flatten(),
        )  # fmt: skip
        size = 2 * w * math.ceil(math.ceil(rows / 2) / 2) * math.ceil(math.ceil(math.ceil(columns / 2) / 2) / 2)
        self.code = nn.Sequential(nn.Linear(size, 256), nn.SiLU(), nn.Linear(256, 128), nn.SiLU(), nn.Linear(128, 3))

    def forward(self, pictures: Tensor, compass: Tensor) -> tuple[Tensor, Tensor]:
        """(s, n, 3, r, c) and (s, n) -> metres (s, n, n, 2) and radians (s, n, n)."""
        samples, views = compass.shape
        north, rest = turned(pictures.flatten(0, 1), compass.flatten())
        code = self.code(self.body(north)).unflatten(0, (samples, views))
        heading = compass - rest.view(samples, views) + code[..., 2]
        east = REACH * (code[:, None, :, :2] - code[:, :, None, :2])  # from i to j, in the axes of the compass
        cos, sin = heading.cos()[:, :, None], heading.sin()[:, :, None]
        move = torch.stack([cos * east[..., 0] + sin * east[..., 1], cos * east[..., 1] - sin * east[..., 0]], -1)
        return move, wrapped(heading[:, None, :] - heading[:, :, None])


class Pooled(nn.Module):
    """Relative pose from mean tokens without any structure: a head that does not learn from little data."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(2 * features, 2 * features), nn.SiLU(), nn.Linear(2 * features, 4))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(s, n, azimuths, features) -> metres (s, n, n, 2) and radians (s, n, n)."""
        pooled = tokens.mean(2)
        views = pooled.shape[1]
        both = torch.cat([pooled[:, :, None].expand(-1, -1, views, -1), pooled[:, None].expand(-1, views, -1, -1)], -1)
        out = self.head(both)
        return REACH * out[..., :2], torch.atan2(out[..., 3], out[..., 2] + 1e-6)


class Frozen(nn.Module):
    """Features of a transformers picture encoder by path, without gradients, brought to the bottom of the U-net."""

    def __init__(self, path: str, features: int) -> None:
        super().__init__()
        transformers = need("transformers", "backbones")
        if not (Path(path) / "config.json").is_file():
            raise ValueError(f"{path}: a folder with config.json and weights of a transformers model is expected")
        self.model: Any = (
            transformers.AutoModel.from_pretrained(path, local_files_only=True).eval().requires_grad_(False)
        )
        self.patch = int(self.model.config.patch_size)
        self.project = nn.Conv2d(int(self.model.config.hidden_size), features, 1)

    def train(self, mode: bool = True) -> Frozen:
        """The encoder stays as it is in evaluation."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, pictures: Tensor, size: torch.Size) -> Tensor:
        """(n, 3, r, c) -> (n, features, *size)."""
        rows, columns = (max(self.patch, round(side / self.patch) * self.patch) for side in pictures.shape[-2:])
        resized = functional.interpolate(pictures, (rows, columns), mode="bilinear")
        with torch.no_grad():
            found = self.model(pixel_values=resized, interpolate_pos_encoding=True).last_hidden_state
        high, wide = rows // self.patch, columns // self.patch
        grid = (
            found[:, found.shape[1] - high * wide :].transpose(1, 2).unflatten(2, (high, wide))
        )  # without class tokens
        out: Tensor = self.project(functional.interpolate(grid, tuple(size), mode="bilinear"))
        return out


def normalised(colour: Tensor) -> Tensor:
    """uint8 (..., r, c, 3) as float32 (..., 3, r, c) by ImageNet's mean and standard deviation."""
    mean, std = (torch.tensor(one, device=colour.device) for one in (MEAN, STD))
    return ((colour.float() / 255 - mean) / std).movedim(-1, -3)


def turned(pictures: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """Panoramas (n, 3, r, c) rolled by whole columns into the compass's zero, and the radians (n,) that are left over."""
    columns = pictures.shape[-1]
    shift = (heading / (2 * math.pi) * columns).round()
    index = (torch.arange(columns, device=pictures.device) + shift[:, None].long()) % columns
    rolled = pictures.gather(3, index[:, None, None, :].expand_as(pictures))
    return rolled, heading - shift * 2 * math.pi / columns


def wrapped(angle: Tensor) -> Tensor:
    """Radians within -π..π."""
    return torch.atan2(angle.sin(), angle.cos())


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(8, channels)


def _like(x: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(x, tuple(other.shape[-2:]), mode="nearest")
