"""One structure, and what is said of a file that cannot be one."""

from __future__ import annotations

from dataclasses import dataclass

from runvet_lab.voxels.shapes import Grid


class DataProblem(ValueError):
    """A file or folder that can't be used as data; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure. `voxels`: uint8 (x, y, z) block ids; `extra`: further channels (x, y, z, channels) or None."""

    voxels: Grid
    label: str
    prompt: str
    name: str
    extra: Grid | None = None
