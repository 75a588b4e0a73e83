"""Small safetensors files, written by hand: header and data as the format's description has them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

OLD = 3_600.0  # seconds: long enough ago to be no write that is going on


def write(path: Path, arrays: Mapping[str, np.ndarray], *, age: float = OLD, cut: int = 0, **metadata: str) -> Path:
    """Write float32 arrays; `cut` bytes are missing at the end, `age` seconds have passed since."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, array in arrays.items():
        raw = array.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + data
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[: len(content) - cut])
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def weights(step: int, *, prefix: str = "", scale: float = 1.0) -> dict[str, np.ndarray]:
    """Weights of three modules that differ at every step."""
    rng = np.random.default_rng(step)
    names = ("encoder.0.weight", "encoder.0.bias", "decoder.0.weight", "head.weight")
    return {
        prefix + n: scale * rng.standard_normal((6, 6) if n.endswith("weight") else 6).astype(np.float32) for n in names
    }


def log(folder: Path, losses: np.ndarray, rate: float = 1e-3) -> Path:
    """A CSV log with one row a step."""
    rows = "".join(f"{i},{v},{rate}\n" for i, v in enumerate(losses))
    path = folder / "metrics.csv"
    path.write_text("step,loss,lr\n" + rows)
    return path
