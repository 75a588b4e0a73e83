"""Scene texts as rows of word numbers; the vocabulary is that of the training texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

PAD, UNKNOWN = 0, 1


def words(text: str) -> list[str]:
    """Words and numbers, in lower case."""
    return re.findall(r"[a-z]+|-?\d+(?:\.\d+)?", text.lower())


def vocabulary(texts: Iterable[str]) -> list[str]:
    """Every word once, sorted; the first two places are kept for padding and unknown words."""
    return ["<pad>", "<unknown>", *sorted({word for text in texts for word in words(text)})]


def encode(texts: Sequence[str], known: Sequence[str]) -> npt.NDArray[np.int64]:
    """Numbers of words (n, longest), padded with PAD; at least one column."""
    number = {word: place for place, word in enumerate(known)}
    rows = [[number.get(word, UNKNOWN) for word in words(text)] for text in texts]
    out = np.full((len(rows), max([1, *map(len, rows)])), PAD, np.int64)
    for row, found in enumerate(rows):
        out[row, : len(found)] = found
    return out
