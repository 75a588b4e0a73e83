"""npy and npz files: everything numpy writes is read, hostile files are refused by name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runvet.artifacts import npz
from runvet.artifacts.model import UnreadableError

TYPES = st.sampled_from([np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, np.bool_, np.complex64])


@given(hnp.arrays(TYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)), st.booleans())
def test_every_array_comes_back(array: np.ndarray, fortran: bool) -> None:
    stream = io.BytesIO()
    np.save(stream, array.copy(order="F") if fortran else array)
    read = npz.from_bytes(stream.getvalue())
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert read.tobytes() == np.ascontiguousarray(array).tobytes() or np.array_equal(read, array, equal_nan=True)


def test_objects_are_refused_and_the_other_members_read(tmp_path: Path) -> None:
    path = tmp_path / "mixed.npz"
    np.savez(path, good=np.arange(6).reshape(2, 3), bad=np.array([{"a": 1}, None], dtype=object))
    contents = npz.read_npz(path)
    assert list(contents.arrays) == ["good"]
    assert contents.arrays["good"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert "pickle" in contents.problems[0]
    assert set(npz.peek_npz(path)) == {"good"}


def test_a_pickle_in_an_npy_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "evil.npy"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    np.save(path, np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableError, match="pickle"):
        npz.read_npy(path)
    assert not (tmp_path / "touched").exists()


def refused_or_read(read, source) -> str:
    """The reason of a refusal, or "read"; any other exception is a failure of the test."""
    try:
        read(source)
    except UnreadableError as error:
        return str(error)
    return "read"


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "shape", ["(10000000000,)", "(1 << 40, 1 << 40)", "(-3,)", "(99999999999999999999999,)", "(2.5,)", "('a',)"]
)
def test_absurd_shapes_are_refused_before_anything_is_allocated(shape: str) -> None:
    with pytest.raises(UnreadableError):
        npz.from_bytes(header(shape) + b"\0" * 64)


def test_a_declared_shape_larger_than_the_file_is_told_as_cut_off() -> None:
    with pytest.raises(UnreadableError, match="cut off: 64 of 8,000 bytes"):
        npz.from_bytes(header("(1000,)") + b"\0" * 64)


def test_a_zip_bomb_stops_at_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b", "c"):
            archive.writestr(f"{name}.npy", header(f"({70 << 17},)") + b"\0" * (70 << 20))
    assert path.stat().st_size < 1 << 20
    contents = npz.read_npz(path)
    assert list(contents.arrays) == ["a"]  # 70 MiB fit into the bound of 128 MiB for one file, two of them do not
    assert len(contents.problems) == 2
    assert "more than" in contents.problems[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_damaged_files_are_refused_with_a_reason(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, voxels=np.arange(512, dtype=np.uint8).reshape(8, 8, 8), other=np.ones(3))
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    assert refused_or_read(npz.read_npz, path)
    assert refused_or_read(npz.peek_npz, path)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_array_or_refused(data: bytes) -> None:
    for prefix in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x03\x00"):
        assert refused_or_read(npz.from_bytes, prefix + data)
