"""The Python interface to data and samples: `profile` and `compare`, of paths or of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np

from runvet.artifacts import against, grids
from runvet.artifacts.components import Parts
from runvet.artifacts.finding import below, item_of
from runvet.artifacts.grouping import Entry, label_of
from runvet.artifacts.memory import in_memory
from runvet.artifacts.model import Array, Artifacts, Listing
from runvet.artifacts.profile import Profile
from runvet.artifacts.profile import profile as profile_of

Place: TypeAlias = str | PathLike[str]
Data: TypeAlias = Place | Profile | Array | Sequence[Array] | Mapping[str, Array]


@dataclass(frozen=True)
class SampleComparison:
    """Samples beside data: their profiles, the differences of every measure, and the items that both hold.

    Iterating gives the differences. `in_both` holds (name of the sample, name of the equal item of the data).
    """

    samples: Profile
    data: Profile
    differences: tuple[against.Difference, ...]
    in_both: tuple[tuple[str, str], ...]

    def __iter__(self) -> Iterator[against.Difference]:
        return iter(self.differences)

    def __len__(self) -> int:
        return len(self.differences)

    def __getitem__(self, index: int) -> against.Difference:
        return self.differences[index]

    def _repr_html_(self) -> str:
        """The comparison in a notebook, without script."""
        from runvet.render import notebook

        return notebook.comparison(self)


def opened(path: Place) -> Artifacts:
    """The files of a folder, or one file, as artifacts. Raises FileNotFoundError."""
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if root.is_dir():
        return below(root)
    item = item_of(root, root.name)
    return Artifacts(lambda: Listing((item,) if item is not None else ()))


def profiles(path: Place, artifacts: Artifacts | None = None) -> tuple[Profile, ...]:
    """The profiles of all sets below a folder, the largest first, or of one file. Raises FileNotFoundError.

    `artifacts` are the path's own (see `opened`) where the caller needs them too: files are then read once.
    """
    from runvet.evidence.datasets import of

    kept = artifacts if artifacts is not None else opened(path)
    if Path(path).is_dir():
        return of(kept, every=True)
    found = profile_of(kept, Path(path).name, _entries(kept)) if kept.items else None
    return (found,) if found is not None and (found.items or found.unreadable) else ()


def profile(data: Data) -> Profile:
    """What a data set holds: counts, classes, ranges, empty, constant, repeated and broken items.

    `data` is a path (of a folder: its largest set), or items in memory: an array whose first axis counts them
    (grids (n, d, h, w) of whole numbers, pictures (n, h, w) or (n, h, w, c) of uint8, anything else as numbers), a list
    of arrays, or a mapping from names (`oak_tree_3`: the words are the class) to arrays. Values keep their own unit.

    Raises FileNotFoundError, and ValueError where nothing is read. At most 10,000 items are read, evenly over all.
    """
    if isinstance(data, Profile):
        return data
    if isinstance(data, (str, PathLike)):
        found = profiles(data)
        if not found:
            raise ValueError(f"{data}: no grids, pictures, arrays or records that are read")
        return found[0]
    kept = in_memory({f"{name}.npy": {_kind(array): array} for name, array in _named(data)})
    made = profile_of(kept, "arrays", _entries(kept))
    if made is None or not made.items:
        raise ValueError("no item: profile() takes a path, or arrays of numbers whose first axis counts the items")
    return made


def compare(samples: Data, data: Data) -> SampleComparison:
    """Samples against data, both as `profile` takes them: medians of every measure, class by class.

    Each difference has medians, counts and the two-sided p-value of the Mann-Whitney test (Mann and Whitney 1947, doi
    10.1214/aoms/1177730491): exact for small sets without ties, so few samples can't give a small one. Facts, no
    verdict. Raises FileNotFoundError and ValueError as `profile` does.
    """
    first, second = profile(samples), profile(data)
    return SampleComparison(first, second, against.compare(first, second), against.shared(first, second))


def connectivity(grid: Place | Array, background: int | Iterable[int] = 0) -> Parts:
    """The connected parts of a voxel grid's filled cells: `count`, cells of the `largest`, `filled` cells, and `share`.

    `grid` is an array of whole numbers or truth values of 1 to 4 dimensions, or a file that holds one such grid (npz,
    npy, …). Cells whose value is in `background` are empty. Parts are joined through faces (6 neighbours in 3-D, 4 in
    2-D) by a parallel union-find (Shiloach and Vishkin 1982, doi 10.1016/0196-6774(82)90008-6).

    Raises FileNotFoundError, UnreadableError for a damaged file, and ValueError for floats that are no whole numbers
    and for a file that holds no grid or several.
    """
    if not isinstance(grid, (str, PathLike)):
        return grids.connectivity(grid, background)
    kept = opened(grid)
    held = [g for item in kept.items for g in grids.grids_of(kept.read(item).arrays)] if Path(grid).is_file() else []
    if len(held) != 1:
        raise ValueError(f"{grid} holds {len(held)} grids: connectivity() takes a file of one, or an array")
    return grids.connectivity(held[0], background)


def _entries(artifacts: Artifacts) -> tuple[Entry, ...]:
    return tuple(Entry(item, label=label_of(item.name)) for item in artifacts.items)


def _named(data: Array | Sequence[Array] | Mapping[str, Array]) -> list[tuple[str, Array]]:
    """Names and arrays; items without a name are numbered. Raises ValueError for what is no number."""
    pairs = data.items() if isinstance(data, Mapping) else ((f"item_{i:05d}", a) for i, a in enumerate(data))
    out = [(str(name), np.asarray(array)) for name, array in pairs]
    wrong = next((name for name, array in out if array.dtype.kind not in "iufb"), None)
    if wrong is not None:
        raise ValueError(f"{wrong} holds no numbers")
    return [(name, array.reshape(1) if array.ndim == 0 else array) for name, array in out]


def _kind(array: Array) -> str:
    """`image` for what looks like a picture: (h, w) or (h, w, 1, 3 or 4) of uint8."""
    colour = array.ndim == 3 and array.shape[2] in (1, 3, 4)
    return "image" if array.dtype == np.uint8 and (array.ndim == 2 or colour) else "array"
