"""Block ids as tokens: a data set of 17 kinds of blocks needs 17 classes, whatever numbers the game gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet_lab.voxels.blocks import name
from runvet_lab.voxels.shapes import Grid

NAME = "vocabulary.json"


class UnknownId(ValueError):
    """A grid holds an id that the vocabulary lacks; the message names it."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The ids that occur, rising; a token is an id's place among them. `air` is the id of air, `size` that of the grids."""

    ids: tuple[int, ...]
    air: int
    size: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def air_token(self) -> int:
        """The token of air; 0 where the vocabulary lacks it."""
        return self.ids.index(self.air) if self.air in self.ids else 0

    def tokens(self, grids: Grid) -> npt.NDArray[np.int64]:
        """Tokens of grids of ids, the same shape. Raises UnknownId."""
        table = np.full(256, -1, np.int64)
        table[list(self.ids)] = np.arange(len(self.ids))
        found = table[grids]
        if found.min(initial=0) < 0:
            strange = sorted({int(i) for i in np.unique(grids)} - set(self.ids))
            raise UnknownId(f"id {strange[0]} is not in the vocabulary ({', '.join(map(str, self.ids))})")
        return found

    def save(self, folder: Path) -> None:
        """Write `vocabulary.json` into a run folder."""
        rows = [{"token": t, "id": i, "minecraft": name(i)} for t, i in enumerate(self.ids)]
        (folder / NAME).write_text(
            json.dumps({"air_id": self.air, "size": self.size, "tokens": rows}, indent=1) + "\n", encoding="utf-8"
        )


def of(grids: Grid, air: int) -> Vocabulary:
    """The vocabulary of a data set."""
    x, y, z = grids.shape[1:]
    return Vocabulary(tuple(int(i) for i in np.unique(grids)), air, (x, y, z))


def load(folder: Path) -> Vocabulary:
    """The vocabulary of a run folder. Raises ValueError where the file is missing or damaged, with its name."""
    path = folder / NAME
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        ids = tuple(int(row["id"]) for row in content["tokens"])
        x, y, z = (int(length) for length in content["size"])
        return Vocabulary(ids, int(content["air_id"]), (x, y, z))
    except OSError as error:
        raise ValueError(
            f"{path}: {error.strerror or error}; is {folder} a run of `runvet-lab voxels train`?"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a vocabulary: {error}") from None
