"""Two pictures, a text and the car's own speeds to a path: encoders whose features are added, and a head.

Encoders are tiny convolutions, or a transformers model by path whose picture features are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runvet_lab.base.extra import need
from runvet_lab.trajectories.config import Model
from runvet_lab.trajectories.text import PAD
from runvet_lab.trajectories.world import DT, HORIZON, PAST

OUT = HORIZON * 2
OVER = 3  # steps whose mean is the speed now


class Regressor(nn.Module):
    """Paths in the units of the targets that it was trained on.

    `forward(vehicle, roadside, words, past)`: uint8 (n, h, w, 3) twice, int64 (n, words), float32 (n, PAST) in m/s
    -> (n, 45, 2), or logits (n, 45, 2, bins) with the token head; `path` gives (n, 45, 2) in any case.
    """

    prior: Tensor
    centres: Tensor

    def __init__(self, config: Model, words: int, *, prior: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        made = (_tiny(config.width), _tiny(config.width)) if config.backbone == "tiny" else _by_path(config)
        self.backbone = nn.ModuleDict({"vehicle": made[0], "roadside": made[1]})
        self.text = Sentence(words, config.width)
        self.motion = nn.Sequential(nn.Linear(2 * PAST, config.width), nn.SiLU(), nn.Linear(config.width, config.width))
        self.head = _head(config)
        # Constant velocity in the units of the targets: scale (45, 2) and shift (45, 2), for the residual head.
        self.register_buffer("prior", prior if prior is not None else torch.zeros(2, HORIZON, 2))
        self.register_buffer("centres", torch.linspace(-1, 1, config.bins), persistent=False)

    def forward(self, vehicle: Tensor, roadside: Tensor, words: Tensor, past: Tensor) -> Tensor:
        """Raw outputs of the head."""
        seen = self.backbone["vehicle"](_scaled(vehicle)) + self.backbone["roadside"](_scaled(roadside))
        out: Tensor = self.head(seen + self.text(words) + self.motion(_motion(past)))
        if self.config.head == "tokens":
            return out.view(-1, HORIZON, 2, self.config.bins)
        out = out.view(-1, HORIZON, 2)
        if self.config.head == "residual_cv":
            scale, shift = self.prior
            speed = past[:, -OVER:].mean(1)
            out = out + speed[:, None, None] * scale - shift
        return out

    def path(self, out: Tensor, reach: Tensor) -> Tensor:
        """Positions from raw outputs; `reach` (45, 2) is the end of the bins in the units of the targets."""
        if self.config.head != "tokens":
            return out
        return (out.softmax(-1) * self.centres).sum(-1) * reach


class Sentence(nn.Module):
    """Words (n, length) to (n, width): each with its neighbours, so that numbers keep their meaning; the mean of all."""

    def __init__(self, words: int, width: int, inner: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, inner, padding_idx=PAD)
        self.near, self.out = nn.Conv1d(inner, inner, 3, padding=1), nn.Linear(inner, width)

    def forward(self, words: Tensor) -> Tensor:
        """The mean over all words that are not padding."""
        there = (words != PAD).float()[:, None]
        each = nn.functional.silu(self.near(self.embed(words).transpose(1, 2))) * there
        out: Tensor = self.out(each.sum(2) / there.sum(2).clamp_min(1))
        return out


def _motion(past: Tensor) -> Tensor:
    """Speeds (n, PAST) in m/s as numbers near 1 (n, 2 PAST): the speeds, and how each differs from the newest."""
    return torch.cat([past / 10, past - past[:, -1:]], dim=1)


def velocity_prior(mean: Tensor, std: Tensor) -> Tensor:
    """What `prior` holds: constant velocity along x, (v·t - mean) / std, as scale and shift (2, 45, 2)."""
    ahead = torch.zeros(HORIZON, 2)
    ahead[:, 0] = torch.arange(1, HORIZON + 1) * DT
    return torch.stack([ahead / std, mean / std])


def freeze(model: Regressor) -> None:
    """No gradients for the picture encoders."""
    for parameter in model.backbone.parameters():
        parameter.requires_grad_(False)


def _tiny(width: int) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for out, patch in ((48, 4), (64, 3), (96, 3)):  # 4 x 4 patches first: a third of the time of a fourth layer
        stride, pad = (4, 0) if patch == 4 else (2, 1)
        layers += [nn.Conv2d(channels, out, patch, stride, pad), nn.GroupNorm(8, out), nn.SiLU()]
        channels = out
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(width))


def _head(config: Model) -> nn.Module:
    out = OUT * (config.bins if config.head == "tokens" else 1)
    norm = (lambda: nn.LayerNorm(config.width)) if config.layer_norms else nn.Identity
    last = nn.Linear(config.width, out)
    if config.head_std > 0:
        nn.init.normal_(last.weight, std=config.head_std)
        nn.init.zeros_(last.bias)
    return nn.Sequential(norm(), nn.SiLU(), nn.Linear(config.width, config.width), norm(), nn.SiLU(), last)


def _scaled(pictures: Tensor) -> Tensor:
    """uint8 (n, h, w, 3) as float (n, 3, h, w) around zero."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def _by_path(config: Model) -> tuple[nn.Module, nn.Module]:
    """The same kind of backbone for both pictures, weights from a folder. Raises MissingExtra, ValueError."""
    transformers = need("transformers", "backbones")
    if not (Path(config.backbone) / "config.json").is_file():
        raise ValueError(
            f"{config.backbone}: a folder with config.json and weights of a transformers model is expected"
        )
    made = [transformers.AutoModel.from_pretrained(config.backbone, local_files_only=True) for _ in range(2)]
    first, second = (_Projected(_Seen(one), _seen_width(one), config.width) for one in made)
    return first, second


class _Projected(nn.Module):
    """Features of a backbone, brought to the width of the head."""

    def __init__(self, backbone: nn.Module, features: int, width: int) -> None:
        super().__init__()
        self.backbone, self.project = backbone, nn.Linear(features, width)

    def forward(self, pictures: Tensor) -> Tensor:
        out: Tensor = self.project(self.backbone(pictures))
        return out


class _Seen(nn.Module):
    """The picture side of a transformers model (Florence-2 and other vision-language ones, or a plain encoder)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = getattr(model, "model", model) if hasattr(model, "get_image_features") else model

    def forward(self, pictures: Tensor) -> Tensor:
        size = getattr(getattr(self.model.config, "vision_config", self.model.config), "image_size", None)
        if isinstance(size, int):
            pictures = nn.functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)
        if hasattr(self.model, "get_image_features"):
            found = self.model.get_image_features(pixel_values=pictures)
        else:
            found = self.model(pixel_values=pictures)
        out: Tensor = getattr(found, "last_hidden_state", found)
        return out.flatten(2).mean(-1) if out.ndim == 4 else out.mean(1) if out.ndim == 3 else out


def _seen_width(model: Any) -> int:
    """Width of the features, by one small picture."""
    with torch.no_grad():
        size = getattr(getattr(model.config, "vision_config", model.config), "image_size", 64)
        return int(_Seen(model)(torch.zeros(1, 3, size, size)).shape[-1])
