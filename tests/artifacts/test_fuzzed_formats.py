"""Real files of each format with bytes changed, cut out or put in: read or refused with a reason, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import struct
import time
import tracemalloc
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runvet.artifacts import columns_files, pictures, sounds, structures
from runvet.artifacts.model import Contents, UnreadableError

MEMORY = 400 << 20  # bytes; the largest bound of a reader is 128 MiB, held twice while it is converted
SECONDS = 20.0  # of one file, on a busy machine


def hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["train/frames"] = np.arange(600, dtype=np.uint8).reshape(10, 5, 12)
        file.create_dataset(
            "packed", data=np.random.default_rng(0).normal(size=(200, 4)), chunks=(50, 4), compression="gzip"
        )
        file.create_dataset("ragged", data=[b"ab", b"c"], dtype=h5py.string_dtype())


def parquet(path: Path) -> None:
    arrow, table = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "x": np.arange(300) / 7,
        "text": [f"a text {i}" for i in range(300)],
        "pair": [[i, i + 1] for i in range(300)],
    }
    table.write_table(arrow.table(columns), path, row_group_size=100)


def nbt(path: Path) -> None:
    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode()

    def tag(kind: int, name: str, body: bytes) -> bytes:
        return bytes([kind]) + text(name) + body

    palette = b"".join(
        tag(3, f"minecraft:{n}", struct.pack(">i", i)) for i, n in enumerate(("air", "stone", "oak_log"))
    )
    cells = bytes(i % 3 for i in range(4 * 5 * 6))
    sizes = b"".join(tag(2, n, struct.pack(">h", v)) for n, v in (("Height", 4), ("Length", 5), ("Width", 6)))
    body = sizes + tag(10, "Palette", palette + b"\0") + tag(7, "BlockData", struct.pack(">i", len(cells)) + cells)
    path.write_bytes(gzip.compress(tag(10, "Schematic", body + b"\0"), mtime=0))


def wav(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(1600, dtype="<i2").tobytes())


def png(path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(np.arange(768, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3)).save(stream, "PNG")
    path.write_bytes(stream.getvalue())


FORMATS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Contents]]] = {
    "x.h5": (hdf5, columns_files.read_hdf5),
    "x.parquet": (parquet, columns_files.read_parquet),
    "x.schem": (nbt, structures.read_structure),
    "x.wav": (wav, sounds.read_wav),
    "x.png": (png, pictures.read_png),
}


def mutated(whole: bytes, data: st.DataObject) -> bytes:
    """The bytes with a few of them changed (often to extremes), runs cut out or repeated, or the end missing."""
    out = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        if not out:
            break
        at = data.draw(st.integers(0, len(out) - 1))
        match data.draw(st.sampled_from(["set", "word", "cut", "again", "end"])):
            case "set":
                out[at] = data.draw(st.integers(0, 255))
            case "word":
                out[at : at + 4] = data.draw(
                    st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\xff\xff\xff\x7f"])
                )
            case "cut":
                del out[at : at + data.draw(st.integers(1, 64))]
            case "again":
                out[at:at] = out[at : at + data.draw(st.integers(1, 64))]
            case "end":
                del out[at:]
    return bytes(out)


@pytest.mark.parametrize("name", FORMATS)
def test_the_files_themselves_are_read(tmp_path: Path, name: str) -> None:
    write, read = FORMATS[name]
    write(tmp_path / name)
    assert read(tmp_path / name).arrays


@pytest.mark.parametrize("name", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(data=st.data())
def test_mutated_files_are_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    write, read = FORMATS[name]
    path, whole = tmp_path / name, tmp_path / f"whole_{name}"
    if not whole.exists():
        write(whole)
    path.write_bytes(mutated(whole.read_bytes(), data))
    start = time.monotonic()
    tracemalloc.start()
    try:
        contents = read(path)
        assert contents.arrays or contents.plain
        assert contents.size <= MEMORY
    except UnreadableError as error:
        assert str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY
    assert time.monotonic() - start < SECONDS
