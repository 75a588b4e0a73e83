"""Data sets of structures as they lie on disk: `sample_0000/voxels.npz` (key `voxels`) beside `data.json`.

`voxels` is (x, y, z) or (x, y, z, channels) with y up; channel 0 holds the block id, further channels are kept as they are.
Files of Minecraft (`.schem`, `.nbt`) are read through `schematics`. Nothing is unpickled.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.voxels.blocks import AIR
from runvet_lab.voxels.shapes import Grid
from runvet_lab.voxels.structure import DataProblem, Structure

KEY = "voxels"
AIRS = (0, 255)  # the two codes that are in use for air
LABELS = ("structure_name", "label", "class", "name")
PROMPTS = ("prompt", "text", "caption", "description")
GAME_FILES = (".schem", ".nbt")


@dataclass(frozen=True, slots=True)
class DataSet:
    """Structures of one size. `grids`: uint8 (n, x, y, z) in which `air` stands for nothing."""

    grids: Grid
    labels: tuple[str, ...]
    prompts: tuple[str, ...]
    names: tuple[str, ...]
    air: int = AIR

    def __len__(self) -> int:
        return len(self.grids)

    def take(self, rows: Sequence[int]) -> DataSet:
        """The structures of these rows."""
        pick = [int(row) for row in rows]
        parts = [tuple(have[row] for row in pick) for have in (self.labels, self.prompts, self.names)]
        return DataSet(self.grids[pick], parts[0], parts[1], parts[2], self.air)


def write(folder: str | Path, structures: Iterable[Structure], air: int = AIR) -> int:
    """Write structures below a folder, coded with `air` for nothing; returns how many. Raises DataProblem, OSError."""
    root, count = Path(folder), 0
    for structure in structures:
        grid = structure.voxels
        if air != AIR:
            if (grid == air).any():
                raise DataProblem(f"{structure.name}: holds id {air}, which is to stand for air")
            grid = np.where(grid == AIR, np.uint8(air), grid)
        place = root / structure.name
        place.mkdir(parents=True, exist_ok=True)
        channels = (
            grid[..., None] if structure.extra is None else np.concatenate([grid[..., None], structure.extra], -1)
        )
        np.savez_compressed(place / "voxels.npz", voxels=channels)
        solid = grid != air
        about = {
            "structure_name": structure.label,
            "prompt": structure.prompt,
            "size": list(grid.shape),
            "num_blocks": int(solid.sum()),
            "palette": [int(block) for block in np.unique(grid[solid])],
            "air": air,
        }
        (place / "data.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        count += 1
    return count


def read(folder: str | Path, air: int | None = None, *, verify: bool = True, skip: bool = False) -> DataSet:
    """Every structure below a folder, sorted by name, with air as 0 (`verify=False`: left as it is coded).

    `air` is the code for nothing; without it, the one declared in `data.json`, else the one that the grids show.
    `skip` leaves out what can't be read, with a warning, instead of stopping. Raises DataProblem.
    """
    root, made, airs, problems = Path(folder), [], [], []
    for path in _files(root):
        try:
            structure, declared = read_one(path)
            airs.append(_air(path, structure.voxels, declared, air) if verify else (AIR if air is None else air))
        except DataProblem as problem:
            if not skip:
                raise
            problems.append(str(problem))
            continue
        made.append(structure)
    if problems:
        _warn(f"{len(problems)} of {len(problems) + len(made)} files are left out; the first: {problems[0]}")
    if not made:
        raise DataProblem(
            f"{folder}: no structures; expected folders such as sample_0000 with voxels.npz and data.json"
        )
    if verify:
        made = [_normalised(structure, code) for structure, code in zip(made, airs, strict=True)]
    return join(made, air=AIR if verify else airs[0])


def join(structures: Sequence[Structure], air: int = AIR) -> DataSet:
    """Structures of one size as a data set. Raises DataProblem where the sizes differ."""
    first = structures[0]
    for structure in structures:
        if structure.voxels.shape != first.voxels.shape:
            sizes = f"{first.name} is {first.voxels.shape}, {structure.name} is {structure.voxels.shape}"
            raise DataProblem(f"all structures must have one size: {sizes}; make one data set per size")
    return DataSet(
        np.stack([s.voxels for s in structures]),
        tuple(s.label for s in structures),
        tuple(s.prompt for s in structures),
        tuple(s.name for s in structures),
        air,
    )


def splits(folder: str | Path, air: int | None = None, *, verify: bool = True) -> tuple[DataSet, DataSet]:
    """Training and held-out structures: the folders `train` and `val`, else one in ten by class and name, so that every class of ten is met."""
    root = Path(folder)
    if (root / "train").is_dir() and (root / "val").is_dir():
        return read(root / "train", air, verify=verify), read(root / "val", air, verify=verify)
    whole = read(root, air, verify=verify)
    if len(whole) < 10:
        raise DataProblem(f"{folder}: {len(whole)} structures are too few to hold one in ten out")
    by_class = sorted(range(len(whole)), key=lambda row: (whole.labels[row], row))
    held = sorted(by_class[9::10])
    return whole.take(sorted(set(by_class) - set(held))), whole.take(held)


def read_one(path: Path) -> tuple[Structure, int | None]:
    """A structure as it is coded, and the air code that its `data.json` declares. Raises DataProblem."""
    if path.suffix in GAME_FILES:
        from runvet_lab.voxels.schematics import load

        return load(path), AIR
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if KEY not in file:
                raise DataProblem(f"{path}: no array named {KEY!r}, only {', '.join(file) or 'nothing'}")
            array = file[KEY]
    except DataProblem:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataProblem(f"{path}: not a readable npz file: {error}") from None
    about = _about(path.parent / "data.json")
    return _structure(path, array, about), _declared(path, about)


def _structure(path: Path, array: Any, about: dict[str, Any]) -> Structure:
    if array.ndim not in (3, 4) or min(array.shape) < 1:
        raise DataProblem(f"{path}: {KEY} has the shape {array.shape}; (x, y, z) or (x, y, z, channels) is expected")
    if array.dtype.kind not in "iub" or array.min() < 0 or array.max() > 255:
        span = f"{array.dtype}, {array.min()} to {array.max()}"
        raise DataProblem(f"{path}: {KEY} is {span}; whole numbers from 0 to 255 are expected")
    grid = array.astype(np.uint8)
    label = next((str(about[key]) for key in LABELS if about.get(key)), "structure")
    prompt = next((str(about[key]) for key in PROMPTS if about.get(key)), label)
    if grid.ndim == 3:
        return Structure(grid, label, prompt, path.parent.name)
    return Structure(grid[..., 0], label, prompt, path.parent.name, grid[..., 1:] if grid.shape[-1] > 1 else None)


def _about(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataProblem(f"{path}: not readable as JSON: {error}") from None
    return content if isinstance(content, dict) else {}


def _declared(path: Path, about: dict[str, Any]) -> int | None:
    code = about.get("air", about.get("air_id"))
    if code is not None and (not isinstance(code, int) or not 0 <= code <= 255):
        raise DataProblem(f"{path.parent / 'data.json'}: air is {code!r}; a block id from 0 to 255 is expected")
    return code


def _air(path: Path, grid: Grid, declared: int | None, asked: int | None) -> int:
    """The code of air, where the data, their description and the caller do not contradict one another."""
    counts = np.bincount(grid.reshape(-1), minlength=256)
    seen = max(AIRS, key=lambda code: int(counts[code]))
    for who, code in (("asked for", asked), ("declared in data.json", declared)):
        if code is not None and counts[code] == 0 and counts[seen] * 2 > grid.size:
            share = counts[seen] / grid.size
            raise DataProblem(f"{path}: air is {code} ({who}), but no cell holds {code} and {share:.0%} hold {seen}")
    if asked is not None and declared is not None and asked != declared:
        raise DataProblem(f"{path}: air is to be {asked}, but data.json declares {declared}")
    code = asked if asked is not None else declared
    if code is None and counts[0] and counts[255]:
        raise DataProblem(f'{path}: both 0 and 255 occur; say which one is air (--air, or "air" in data.json)')
    return seen if code is None else code


def _normalised(structure: Structure, air: int) -> Structure:
    if air == AIR:
        return structure
    if (structure.voxels == AIR).any():
        raise DataProblem(f"{structure.name}: air is {air}, so id {AIR} would be a block; code it with another id")
    return replace(structure, voxels=np.where(structure.voxels == air, np.uint8(AIR), structure.voxels))


def _files(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataProblem(f"{root}: no such folder")
    found = [*root.glob("*/voxels.npz"), *(p for p in root.iterdir() if p.suffix in GAME_FILES)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _warn(message: str) -> None:
    import warnings

    warnings.warn(message, stacklevel=3)
