"""Pictures as arrays: PNG with the standard library, the others through Pillow where it is installed."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Array, Contents, UnreadableError, evenly
from runvet.artifacts.onehot import class_axis
from runvet.artifacts.opening import start_of
from runvet.artifacts.png import PIXELS, decode

PILLOW = (".jpg", ".jpeg", ".webp", ".bmp", ".gif")
UNLOCK = "pip install 'runvet[images]'"
BYTES = 64 << 20
MOST = 2_000  # pictures of one file
# Names of arrays that hold pictures, and of arrays that hold grids although their shape is that of a picture.
NAMES = frozenset(
    "image images img imgs frame frames picture pictures photo photos video videos pixels rgb pixel".split()
)
SOLID = frozenset("voxel voxels blocks grid grids block structure occupancy tokens codes volume".split())


def pictures_of(arrays: Mapping[str, Array], most: int = MOST) -> list[Array]:
    """The pictures in one file, (h, w, c) or (h, w), at most `most`, evenly chosen from files that stack many.

    A file that was read as a picture; stacks (n, h, w, 3) and (n, 3, h, w); grey stacks (n, h, w), (n, h, w, 1) and
    single pictures only under a name that says so (`images`, `frames`, …), since voxel grids look the same.
    """
    if list(arrays) == ["image"] and arrays["image"].ndim >= 2:
        return [arrays["image"]]
    numeric = {k: v for k, v in arrays.items() if v.dtype.kind in "iuf" and v.size and v.ndim >= 2}
    named = {k: v for k, v in numeric.items() if _words(k) & NAMES}
    main = max((named or numeric).values(), key=lambda v: v.size, default=None)
    if main is None or any(_words(k) & SOLID for k in numeric):
        return []
    shape = main.shape
    if not named and class_axis(main) is not None:
        return []
    if main.ndim == 4 and min(shape[1:3]) >= 8 and (shape[3] == 3 or (named and shape[3] in (1, 4))):
        stack = main
    elif main.ndim == 4 and min(shape[2:]) >= 8 and (shape[1] == 3 or (named and shape[1] in (1, 4))):
        stack = np.moveaxis(main, 1, -1)
    elif main.ndim == 3 and min(shape[1:]) >= 8 and named and shape[2] > 4:
        stack = main[..., None]
    elif main.ndim == 3 and shape[2] in (3, 4) and min(shape[:2]) >= 8 and (named or main.dtype == np.uint8):
        stack = main[None]
    else:
        return []
    return [np.ascontiguousarray(stack[i]) for i in evenly(range(len(stack)), most)]


@lru_cache(maxsize=4096)
def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", name.lower()))


def read_png(path: Path) -> Contents:
    """One array `image` (height, width, channels). Raises UnreadableError."""
    data = start_of(path, BYTES)
    if len(data) > BYTES:
        raise UnreadableError(f"more than {BYTES:,} bytes")
    fast = _fast(data) if len(data) > 33 else None
    return Contents({"image": decode(data) if fast is None else fast})


@cache
def _pillow() -> Any:
    """Pillow's reader of PNG, None where it is not installed."""
    try:
        return importlib.import_module("PIL.PngImagePlugin")
    except ImportError:
        return None


def _fast(data: bytes) -> npt.NDArray[np.uint8] | None:
    """A picture of 8 bits without palette through Pillow, where it is installed; None for all else."""
    depth, kind = data[24], data[25]
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if depth != 8 or kind not in (0, 2, 6) or width * height * 4 > PIXELS:
        return None
    library = _pillow()
    if library is None:
        return None
    try:
        with library.PngImageFile(io.BytesIO(data)) as picture:
            array = np.asarray(picture)
    except Exception:  # damaged: the own decoder says what is wrong
        return None
    return array[:, :, None] if array.ndim == 2 else array


def read_with_pillow(path: Path) -> Contents:
    """One array `image` (height, width, 3) of uint8. Raises UnreadableError, also where Pillow is missing."""
    try:
        library = importlib.import_module("PIL.Image")
    except ImportError:
        raise UnreadableError(f"{path.suffix[1:].upper()} pictures need Pillow", UNLOCK) from None
    try:
        with library.open(path) as picture:
            width, height = picture.size
            if width * height * 3 > PIXELS:
                raise UnreadableError(f"{width:,} x {height:,} pixels are more than are decoded")
            return Contents({"image": np.asarray(picture.convert("RGB"))})
    except UnreadableError:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise UnreadableError(f"damaged: {str(error)[:100]}") from None
