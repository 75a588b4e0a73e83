"""Pictures as arrays: PNG with the standard library, the others through Pillow where it is installed."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from runvet.artifacts.model import Contents, UnreadableError
from runvet.artifacts.png import PIXELS, decode

PILLOW = (".jpg", ".jpeg", ".webp", ".bmp", ".gif")
UNLOCK = "pip install 'runvet[images]'"
BYTES = 64 << 20


def read_png(path: Path) -> Contents:
    """One array `image` (height, width, channels). Raises UnreadableError."""
    try:
        if path.stat().st_size > BYTES:
            raise UnreadableError(f"more than {BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(str(error)) from None
    return Contents({"image": decode(data)})


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
