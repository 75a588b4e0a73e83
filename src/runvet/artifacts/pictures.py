"""Pictures as arrays: PNG with the standard library, the others through Pillow where it is installed."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Contents, UnreadableError
from runvet.artifacts.png import PIXELS, decode

PILLOW = (".jpg", ".jpeg", ".webp", ".bmp", ".gif")
UNLOCK = "pip install 'runvet[images]'"
BYTES = 64 << 20
LARGE = 1 << 16  # bytes of a PNG from which Pillow, where it is installed, saves time


def read_png(path: Path) -> Contents:
    """One array `image` (height, width, channels). Raises UnreadableError."""
    try:
        if path.stat().st_size > BYTES:
            raise UnreadableError(f"more than {BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(str(error)) from None
    fast = _fast(data) if len(data) > LARGE else None
    return Contents({"image": decode(data) if fast is None else fast})


def _fast(data: bytes) -> npt.NDArray[np.uint8] | None:
    """A large picture of 8 bits without palette through Pillow, where it is installed; None for all else."""
    depth, kind = data[24], data[25]
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if depth != 8 or kind not in (0, 2, 6) or width * height * 4 > PIXELS:
        return None
    try:
        library = importlib.import_module("PIL.Image")
        with library.open(io.BytesIO(data), formats=["PNG"]) as picture:
            array = np.asarray(picture)
    except Exception:  # not installed, or damaged: the own decoder says what is wrong
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
