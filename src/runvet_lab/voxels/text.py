"""Prompts as vectors: hashed words, word pairs and character trigrams by default, or a sentence encoder of your own.

Hashing needs no download and no vocabulary file: crc32 gives the same bucket on every machine.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runvet_lab.base.extra import need

NOTHING = 0  # the bucket of "no prompt", which guidance needs
_WORD = re.compile(r"[a-z0-9]+")


@dataclass
class TextConfig:
    """How prompts become vectors: `hashed`, or `sentence` with the folder of a sentence-transformers model."""

    kind: str = "hashed"
    buckets: int = 4096
    width: int = 192
    path: str = ""


def grams(prompt: str) -> Iterator[str]:
    """Words, pairs of words, and trigrams of each word's letters."""
    words = _WORD.findall(prompt.lower())
    yield from words
    yield from (f"{a} {b}" for a, b in pairwise(words))
    for word in words:
        padded = f"#{word}#"
        yield from (f"~{padded[i : i + 3]}" for i in range(len(padded) - 2))


def buckets(prompt: str, size: int) -> list[int]:
    """The buckets of a prompt, from 1 to size - 1; an empty prompt is `NOTHING`."""
    return [1 + zlib.crc32(gram.encode()) % (size - 1) for gram in grams(prompt)] or [NOTHING]


class HashedText(nn.Module):
    """Prompts to vectors (n, width) by the mean of trained bucket vectors and a small network."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.size = config.buckets
        self.bag = nn.EmbeddingBag(config.buckets, config.width, mode="mean")
        self.out = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )
        self._known: dict[str, list[int]] = {}

    def forward(self, prompts: Sequence[str]) -> Tensor:
        """Vectors (n, width); an empty prompt stands for no condition."""
        lists = [self._known.setdefault(prompt, buckets(prompt, self.size)) for prompt in prompts]
        device = self.bag.weight.device
        flat = torch.tensor([bucket for part in lists for bucket in part], device=device)
        starts = torch.tensor([0, *map(len, lists[:-1])], device=device).cumsum(0)
        vectors: Tensor = self.out(self.bag(flat, starts))
        return vectors


class SentenceText(nn.Module):
    """Prompts to vectors (n, width) by a frozen sentence encoder on disk and a trained layer; nothing is downloaded."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        if not Path(config.path).is_dir():
            raise ValueError(f"text.path: {config.path!r} is no folder of a sentence-transformers model")
        encoder = need("sentence_transformers", "sentence").SentenceTransformer(config.path, local_files_only=True)
        self._encoder: list[Any] = [encoder]  # in a list: frozen, so no part of the checkpoints
        self.nothing = nn.Parameter(torch.zeros(encoder.get_sentence_embedding_dimension()))
        self.out = nn.Sequential(
            nn.Linear(len(self.nothing), config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )
        self._known: dict[str, Tensor] = {}

    def forward(self, prompts: Sequence[str]) -> Tensor:
        """Vectors (n, width); an empty prompt stands for no condition."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt and prompt not in self._known]
        if new:
            self._known.update(zip(new, torch.as_tensor(self._encoder[0].encode(new)), strict=True))
        device = self.nothing.device
        rows = [self._known[prompt].to(device) if prompt else self.nothing for prompt in prompts]
        vectors: Tensor = self.out(torch.stack(rows))
        return vectors


def encoder(config: TextConfig) -> nn.Module:
    """The encoder of a configuration. Raises ValueError for an unknown kind."""
    if config.kind == "hashed":
        return HashedText(config)
    if config.kind == "sentence":
        return SentenceText(config)
    raise ValueError(f"text.kind: {config.kind!r} is not known; known are hashed, sentence")
