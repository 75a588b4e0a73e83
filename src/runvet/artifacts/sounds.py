"""WAV recordings with the standard library: amplitudes in -1..1."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Contents, UnreadableError

SECONDS = 60  # of a longer recording only the beginning is read
_WIDTHS = {1: np.uint8, 2: np.int16, 4: np.int32}


def read_wav(path: Path) -> Contents:
    """One array `sound` (samples, channels) of float32 in -1..1; the plain value holds `rate` in Hz.

    Integer PCM of 8, 16, 24 and 32 bits. Raises UnreadableError for others (the module reads no floats) and for damage.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, total, *_ = file.getparams()
            if channels > 64 or rate < 1 or width not in (1, 2, 3, 4):
                raise UnreadableError(f"{channels} channels of {8 * width} bits at {rate} Hz")
            data = file.readframes(min(total, SECONDS * rate))
    except (wave.Error, EOFError, RuntimeError, ValueError, struct.error) as error:  # all of them on damaged headers
        raise UnreadableError(f"no readable WAV file: {str(error) or 'cut off'}") from None
    except OSError as error:
        raise UnreadableError(str(error)) from None
    frames = len(data) // (width * channels)
    if frames < min(total, SECONDS * rate):
        raise UnreadableError(f"cut off: {frames:,} of {total:,} samples")
    values = _values(data[: frames * width * channels], width)
    note = (f"the first {SECONDS} s of {total / rate:.0f} s are read",) if frames < total else ()
    return Contents({"sound": values.reshape(frames, channels)}, note, {"rate": rate})


def _values(data: bytes, width: int) -> npt.NDArray[np.float32]:
    if width == 3:  # no numpy type has 24 bits: they become the upper ones of 32
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        numbers = wide.view("<i4").ravel()
        return np.asarray(numbers / np.float64(2**31), np.float32)
    raw = np.frombuffer(data, np.dtype(_WIDTHS[width]).newbyteorder("<"))
    if width == 1:
        return np.asarray((raw.astype(np.float32) - 128) / 128, np.float32)
    return np.asarray(raw / np.float64(2 ** (8 * width - 1)), np.float32)
