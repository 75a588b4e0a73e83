"""Structures as files of the game: Sponge schematics (`.schem`, version 2) and vanilla structures (`.nbt`), through nbtlib.

The order of cells in a schematic is y, z, x with x fastest; palette indices are written as LEB128 varints (Sponge
Schematic Specification, version 2).
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.base.extra import need
from runvet_lab.voxels.blocks import AIR, BY_NAME, name
from runvet_lab.voxels.shapes import Grid
from runvet_lab.voxels.structure import DataProblem, Structure

DATA_VERSION = 3465  # Minecraft 1.20.1: newer games convert it when they load
CELLS = 1 << 24  # most cells of a structure that are read
BYTES = 256 << 20  # most bytes of an unpacked file
AIRS = ("minecraft:air", "minecraft:cave_air", "minecraft:void_air", "minecraft:structure_void")


def save(structure: Structure, path: str | Path) -> None:
    """Write a structure as a Sponge schematic, version 2. Raises OSError, MissingExtra."""
    nbt = need("nbtlib", "minecraft")
    grid = structure.voxels
    blocks, index = np.unique(np.concatenate([[AIR], grid.transpose(1, 2, 0).reshape(-1)]), return_inverse=True)
    x, y, z = grid.shape
    content = nbt.Compound(
        {
            "Version": nbt.Int(2),
            "DataVersion": nbt.Int(DATA_VERSION),
            "Metadata": nbt.Compound(
                {
                    "Name": nbt.String(structure.prompt or structure.label),
                    **{f"WEOffset{axis}": nbt.Int(0) for axis in "XYZ"},  # some readers insist on WorldEdit's own keys
                }
            ),
            "Width": nbt.Short(x),
            "Height": nbt.Short(y),
            "Length": nbt.Short(z),
            "Offset": nbt.IntArray([0, 0, 0]),
            "PaletteMax": nbt.Int(len(blocks)),
            "Palette": nbt.Compound({name(int(block)): nbt.Int(place) for place, block in enumerate(blocks)}),
            "BlockData": nbt.ByteArray(np.frombuffer(_packed(index.reshape(-1)[1:]), np.int8)),
            "BlockEntities": nbt.List[nbt.Compound]([]),
        }
    )
    nbt.File(content, root_name="Schematic", gzipped=True).save(str(path))


def load(path: str | Path) -> Structure:
    """Read a `.schem` (versions 1 to 3) or a vanilla `.nbt` structure; block states lose their properties.

    A block that the lab does not know is an error, not a guess. Raises DataProblem, MissingExtra.
    """
    file = Path(path)
    root = _root(file)
    try:
        names = _structure(root) if "blocks" in root and "palette" in root else _schematic(root)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise DataProblem(f"{file}: not a schematic or structure: {type(error).__name__} {error}") from None
    return Structure(_ids(file, names), file.stem, _title(root) or file.stem.replace("_", " "), file.stem)


def _root(file: Path) -> Any:
    """The root compound, with what is unpacked from a small file bounded."""
    nbt = need("nbtlib", "minecraft")
    import io

    try:
        raw = file.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
                raw = packed.read(BYTES + 1)
        if len(raw) > BYTES:
            raise DataProblem(f"{file}: unpacks to more than {BYTES >> 20} MiB")
        root = nbt.File.parse(io.BytesIO(raw))
    except DataProblem:
        raise
    except Exception as error:  # a damaged file fails in many ways inside the library
        raise DataProblem(f"{file}: not readable as NBT: {type(error).__name__} {error}") from None
    return root.get("Schematic", root)


def _schematic(root: Any) -> Any:
    """Names (x, y, z) from a Sponge schematic."""
    x, y, z = (int(root[key]) & 0xFFFF for key in ("Width", "Height", "Length"))
    if not 0 < x * y * z <= CELLS:
        raise ValueError(f"{x} x {y} x {z} cells")
    held = root.get("Blocks", root)
    palette, data = held["Palette"], held["Data" if "Blocks" in root else "BlockData"]
    index = _unpacked(np.asarray(data).astype(np.int8).tobytes())
    if len(index) != x * y * z:
        raise ValueError(f"{len(index)} cells, not {x * y * z}")
    names = np.full(max(int(place) for place in palette.values()) + 1, "", dtype=object)
    for block, place in palette.items():
        names[int(place)] = str(block)
    return names[index].reshape(y, z, x).transpose(2, 0, 1)


def _structure(root: Any) -> Any:
    """Names (x, y, z) from a vanilla structure block's file."""
    x, y, z = (int(side) for side in root["size"])
    if not 0 < x * y * z <= CELLS:
        raise ValueError(f"{x} x {y} x {z} cells")
    palette = [str(entry["Name"]) for entry in root["palette"]]
    names = np.full((x, y, z), AIRS[0], dtype=object)
    for block in root["blocks"]:
        at = tuple(int(side) for side in block["pos"])
        if min(at) < 0:
            raise ValueError(f"block at {at}")
        names[at] = palette[int(block["state"])]
    return names


def _ids(file: Path, names: Any) -> Grid:
    grid = np.zeros(names.shape, np.uint8)
    for block in set(names.reshape(-1)):
        plain = block.partition("[")[0]
        if plain in AIRS:
            continue
        if plain not in BY_NAME:
            raise DataProblem(f"{file}: {plain} is not among the lab's blocks; add it to blocks.py")
        grid[names == block] = BY_NAME[plain]
    return grid


def _title(root: Any) -> str:
    about = root.get("Metadata")
    return str(about.get("Name", "")) if hasattr(about, "get") else ""


def _packed(index: Any) -> bytes:
    """Palette indices as varints: seven bits a byte, low ones first, the high bit set where more follow."""
    low, high = index & 0x7F, index >> 7
    if high.max(initial=0) > 0x7F:
        raise ValueError("more than 16,384 kinds of blocks")
    pairs = np.stack([np.where(high > 0, low | 0x80, low), high], axis=1).astype(np.uint8)
    keep = np.stack([np.ones(len(index), bool), high > 0], axis=1)
    return bytes(pairs[keep].tobytes())


def _unpacked(data: bytes) -> Any:
    """Varints as numbers. Raises ValueError where the last one is cut off."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1):
        raise ValueError("the block data are cut off")
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    if len(ends) and int((ends - starts).max()) > 4:
        raise ValueError("a varint of more than five bytes")
    values = np.zeros(len(ends), np.int64)
    for byte in range(5):
        at = starts + byte
        there = at <= ends
        values[there] |= (raw[at[there]].astype(np.int64) & 0x7F) << (7 * byte)
    return values
