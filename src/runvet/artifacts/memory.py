"""Artifacts that are no files: for examples, tests and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvet.artifacts.model import Artifacts, Contents, Item, Listing
from runvet.artifacts.tables import columns


def in_memory(files: Mapping[str, Mapping[str, Any] | Sequence[Any]]) -> Artifacts:
    """Artifacts of arrays by file name: for examples, tests and notebooks.

    A mapping whose values are arrays stands for an npz file (or a picture: one array `image`), any other value
    for a JSON file. Names are sorted as a folder's are.
    """

    def item(name: str, value: Any) -> Item:
        arrays = isinstance(value, Mapping) and all(isinstance(v, np.ndarray) for v in value.values())
        if not arrays:
            return Item(name, 1, lambda: Contents(columns(value), plain=value))
        peek = {k: (v.shape, v.dtype) for k, v in value.items()}
        return Item(name, sum(v.nbytes for v in value.values()), lambda: Contents(value), lambda: peek)

    listing = Listing(tuple(item(name, files[name]) for name in sorted(files)))
    return Artifacts(lambda: listing)
