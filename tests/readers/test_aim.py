"""Aim's RocksDB logs, written here byte by byte, and the corpus's real repository."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
from binary_writers import crc32c, masked, mutated, varint
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

TMP = HealthCheck.function_scoped_fixture
SEQS, META = ".aim/seqs/chunks/run1/000005.log", ".aim/meta/chunks/run1/000005.log"
PUT, DELETE, RANGE = 1, 0, 15


def path(*keys: str | int) -> bytes:
    return b"".join((k.encode() if isinstance(k, str) else b"\xfe" + struct.pack(">q", k)) + b"\xfe" for k in keys)


def value(content: str | int | float | None) -> bytes:
    if content is None:
        return b"\x00"
    if isinstance(content, str):
        return b"\x04" + content.encode()
    return b"\x02" + struct.pack("<q", content) if isinstance(content, int) else b"\x03" + struct.pack("<d", content)


def batch(*operations: tuple[int, bytes, bytes]) -> bytes:
    out = struct.pack("<QI", 1, len(operations))
    for kind, first, second in operations:
        out += bytes([kind]) + varint(len(first)) + first
        out += varint(len(second)) + second if kind != DELETE else b""
    return out


def log(*batches: bytes) -> bytes:
    """One block of a RocksDB log."""
    out = b""
    for data in batches:
        assert len(out) + len(data) + 7 <= 32_768
        out += struct.pack("<IHB", masked(crc32c(b"\x01" + data)), len(data), 1) + data
    return out


def point(name: str, step: int, number: float, context: int = 77) -> bytes:
    """The batch of one point: each cell's range is deleted, then the cell is put."""
    operations = []
    for field, content in (("val", number), ("step", step), ("epoch", None), ("time", 1e9 + step)):
        key = path("seqs", "v2", "chunks", "run1", context, name, field, hash((step, 1)))
        operations += [(RANGE, key, key + b"\xff"), (PUT, key, value(content)), (DELETE, b"BLOBS\xfe" + key, b"")]
    return batch(*operations)


def test_points(tmp_path: Path) -> None:
    data = log(*(point("loss", i, i / 3) for i in range(20)), point("__system__cpu", 0, 5.0))
    file = write(tmp_path, SEQS, data)
    assert claim("aim", file) == 1.0
    found = series(read("aim", file))
    assert list(found) == ["loss", "system/cpu"]
    assert found["loss"].value.tolist() == [i / 3 for i in range(20)]
    assert found["loss"].step.tolist() == list(range(20))
    assert found["loss"].time[3] == 1e9 + 3
    assert math.isnan(found["loss"].epoch[0])


def test_contexts_name_the_split(tmp_path: Path) -> None:
    contexts = [
        (PUT, path("meta", "chunks", "run1", "contexts", i, "subset"), value(s)) for i, s in ((1, "train"), (2, "val"))
    ]
    rate = (PUT, path("meta", "chunks", "run1", "attrs", "hparams", "lr"), value(0.1))
    layer = (PUT, path("meta", "chunks", "run1", "attrs", "hparams", "sizes", 0), value(16))
    own = (PUT, path("meta", "chunks", "run1", "attrs", "__system_params", "env", "HOME"), value("/root"))
    meta = write(tmp_path, META, log(batch(*contexts, rate, layer, own)))
    seqs = write(tmp_path, SEQS, log(point("loss", 0, 1.0, 1), point("loss", 0, 2.0, 2)))
    assert sorted(series(read("aim", seqs))) == ["train/loss", "val/loss"]
    assert settings(read("aim", meta)) == {"hparams.lr": 0.1, "hparams.sizes.0": 16}
    meta.unlink()
    assert sorted(series(read("aim", seqs))) == ["context 1/loss", "context 2/loss"]


def test_deleted_and_written_again(tmp_path: Path) -> None:
    everything = path("seqs", "v2", "chunks", "run1", 77, "loss")
    drop = batch((RANGE, everything, everything + b"\xff"))
    found = series(
        read(
            "aim", write(tmp_path, SEQS, log(point("loss", 0, 1.0), drop, point("loss", 1, 2.0), point("loss", 1, 3.0)))
        )
    )
    assert found["loss"].value.tolist() == [3.0]


def test_tables_are_named_with_the_way_out(tmp_path: Path) -> None:
    (problem,) = read("aim", write(tmp_path, ".aim/seqs/chunks/run1/000008.sst", b"table")).problems
    assert "export" in problem.remedy
    assert not read("aim", write(tmp_path, ".aim/seqs/chunks/run1/LOG", b"loss: 3\n")).series
    assert claim("aim", write(tmp_path, "000005.log", log(point("loss", 0, 1.0)))) == 0.0


VALID = log(*(point("loss", i, float(i)) for i in range(10)))


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.binary(max_size=200), st.integers(0, 20))
def test_any_bytes(tmp_path: Path, data: bytes, kind: int) -> None:
    operation = struct.pack("<QI", 1, 2) + bytes([kind]) + data
    for name in (SEQS, META):
        read("aim", write(tmp_path, name, data))
        read(
            "aim",
            write(
                tmp_path, name, log(data, operation, batch((PUT, path("meta", "chunks", "r", "attrs") + data, data)))
            ),
        )


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4), st.floats(0.05, 1))
def test_damage(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    found = read("aim", write(tmp_path, SEQS, mutated(VALID, places, cut)))
    points = [v for s in found.series for v in s.value.tolist()]
    assert points == list(range(len(points)))
    assert len(points) == 10 or found.problems or cut < 1 or places


@pytest.mark.shared
def test_real_repository() -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())["aim_repo"]
    (file,) = shared("corpus/artifacts/aim_repo").glob(".aim/seqs/chunks/*/*.log")
    found = read("aim", file)
    for metric, wanted in truth["metrics"].items():
        assert matches(found, metric, wanted), metric
    assert not found.problems
