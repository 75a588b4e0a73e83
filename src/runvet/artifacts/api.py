"""The Python interface to data and samples: `profile` and `compare`."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from runvet.artifacts import against
from runvet.artifacts.finding import below, item_of
from runvet.artifacts.grouping import Entry, label_of
from runvet.artifacts.model import Artifacts, Listing
from runvet.artifacts.profile import Profile
from runvet.artifacts.profile import profile as profile_of


def profiles(path: str | PathLike[str]) -> tuple[Profile, ...]:
    """The profiles of all sets below a folder, the largest first, or of one file. Raises FileNotFoundError."""
    from runvet.evidence.datasets import of

    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if root.is_dir():
        return of(below(root), every=True)
    item = item_of(root, root.name)
    if item is None:
        return ()
    found = profile_of(Artifacts(lambda: Listing((item,))), root.name, (Entry(item, label=label_of(root.name)),))
    return (found,) if found is not None and (found.items or found.unreadable) else ()


def profile(path: str | PathLike[str]) -> Profile:
    """The profile of the largest set below a path. Raises FileNotFoundError, and ValueError where nothing is read."""
    found = profiles(path)
    if not found:
        raise ValueError(f"{path}: no grids, pictures, arrays or records that are read")
    return found[0]


def compare(
    samples: str | PathLike[str] | Profile, data: str | PathLike[str] | Profile
) -> tuple[against.Difference, ...]:
    """Samples against data (paths or profiles): medians of every measure, class by class, each with its p-value."""
    first, second = (p if isinstance(p, Profile) else profile(p) for p in (samples, data))
    return against.compare(first, second)
