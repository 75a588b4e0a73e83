"""Minecraft structures as voxel grids: Sponge `.schem` (versions 1 to 3), MCEdit `.schematic` and structure-block `.nbt`.

Every file has a palette of its own, so block names are what files share: a cell holds 0 for air and else a number
that is the same for the same block in every file. States (`[facing=north]`) are left out: they turn a block, they do
not make it another one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Array, Contents, UnreadableError
from runvet.artifacts.nbt import parse
from runvet.artifacts.opening import start_of

Ids = npt.NDArray[np.int64]
PACKED = 32 << 20  # bytes of the largest file
CELLS = 32 << 20
AIR = frozenset({"air", "cave_air", "void_air", "structure_void"})


def block(name: str) -> int:
    """The number of a block: 0 for air, else the CRC-32 of its name without states and without `minecraft:`."""
    plain = re.sub(r"\[.*", "", str(name)).strip().lower().removeprefix("minecraft:")
    return 0 if plain in AIR else zlib.crc32(plain.encode()) | 1


def read_structure(path: Path) -> Contents:
    """One array `voxels` (height, length, width) of int64, and `{"palette": {number: name}}` as the plain value.

    Raises UnreadableError for damage, bombs and files of another kind.
    """
    data = start_of(path, PACKED)
    if len(data) > PACKED:
        raise UnreadableError(f"more than {PACKED:,} bytes, which are not read")
    try:
        return _grid(parse(data))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise UnreadableError(f"no structure: {type(error).__name__}: {str(error)[:80]}") from None


def _grid(root: Mapping[str, Any]) -> Contents:
    inner = root.get("Schematic", root)  # version 3 has one compound more around it
    if "Palette" in inner and "BlockData" in inner:
        return _sponge(inner, inner["Palette"], inner["BlockData"])
    if "Blocks" in inner and isinstance(inner["Blocks"], Mapping):
        return _sponge(inner, inner["Blocks"]["Palette"], inner["Blocks"]["Data"])
    if "Blocks" in inner and "Materials" in inner:
        return _mcedit(inner)
    if "size" in root and "blocks" in root:
        return _vanilla(root)
    raise UnreadableError(f"NBT that holds no structure: {', '.join(map(str, list(inner)[:6])) or 'empty'}")


def _shape(height: int, length: int, width: int) -> tuple[int, int, int]:
    shape = (int(height), int(length), int(width))
    if min(shape) < 1 or shape[0] * shape[1] * shape[2] > CELLS:
        raise UnreadableError(f"{' x '.join(map(str, shape))} cells are not read")
    return shape


def _sponge(inner: Mapping[str, Any], palette: Mapping[str, int], data: Array) -> Contents:
    """Numbers of a palette as varints, x fastest, then z, then y. Sizes are unsigned shorts."""
    shape = _shape(*(int(inner[k]) & 0xFFFF for k in ("Height", "Length", "Width")))
    cells = varints(np.asarray(data, np.int8).view(np.uint8))
    if len(cells) != shape[0] * shape[1] * shape[2]:
        raise UnreadableError(f"{len(cells):,} blocks where {' x '.join(map(str, shape))} are promised")
    return _named(cells.reshape(shape), {int(number): str(name) for name, number in palette.items()})


def varints(data: npt.NDArray[np.uint8]) -> Ids:
    """Numbers of seven bits a byte, the lowest first; the eighth bit says that one more follows. Shape (m,)."""
    if not len(data) or int(data.max()) < 128:
        return data.astype(np.int64)
    last = data < 128
    if not last[-1]:
        raise UnreadableError("cut off within a number")
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(len(data)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(data)]])))
    if int(place.max()) > 4:
        raise UnreadableError("a number of more than five bytes")
    return np.asarray(np.add.reduceat((data & 127).astype(np.int64) << (7 * place), starts))


def _mcedit(inner: Mapping[str, Any]) -> Contents:
    """Numeric block ids of versions before 1.13, x fastest, then z, then y."""
    shape = _shape(*(int(inner[k]) & 0xFFFF for k in ("Height", "Length", "Width")))
    cells = np.asarray(inner["Blocks"], np.int8).view(np.uint8).astype(np.int64)
    if len(cells) != shape[0] * shape[1] * shape[2]:
        raise UnreadableError(f"{len(cells):,} blocks where {' x '.join(map(str, shape))} are promised")
    return Contents({"voxels": cells.reshape(shape)}, plain={"palette": {}})


def _vanilla(root: Mapping[str, Any]) -> Contents:
    """A list of blocks with their places (x, y, z); cells without a block are air."""
    width, height, length = (int(v) for v in root["size"])
    shape = _shape(height, length, width)
    palette = root["palette"] if "palette" in root else root["palettes"][0]
    names = {i: str(entry["Name"]) for i, entry in enumerate(palette)}
    if not len(root["blocks"]):
        return _named(np.full(shape, -1, np.int64), {})
    places = np.stack([np.asarray(b["pos"], np.int64) for b in root["blocks"]])
    states = np.array([int(b["state"]) for b in root["blocks"]], np.int64)
    if places.shape[1:] != (3,) or (places < 0).any() or (places >= [width, height, length]).any():
        raise UnreadableError("a block lies outside the structure")
    cells = np.full(shape, -1, np.int64)
    cells[places[:, 1], places[:, 2], places[:, 0]] = states
    return _named(cells, names)


def _named(cells: Ids, names: Mapping[int, str]) -> Contents:
    """The grid with palette numbers replaced by what all files share; a number that no palette names is a problem."""
    used: Sequence[int] = np.unique(cells).tolist()
    unnamed = [n for n in used if n not in names and n != -1]
    if unnamed:
        raise UnreadableError(f"block {unnamed[0]} is not in the palette")
    shared = np.array([0 if n == -1 else block(names[n]) for n in used], np.int64)
    palette = {block(n): re.sub(r"\[.*", "", n) for n in names.values()}
    return Contents({"voxels": shared[np.searchsorted(used, cells)]}, plain={"palette": palette})
