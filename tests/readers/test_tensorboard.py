"""TensorBoard event files: those of the real writers, and those that crashes and damage leave."""

from __future__ import annotations

import gzip
import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from binary_writers import crc32c, double, event, integer, message, mutated, scalar, tfrecord, version
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, write

from runvet.readers import _crc32c, _tfrecord, tensorboard
from shared import shared

NAME = "events.out.tfevents.1700000000.host.1.0"
TMP = HealthCheck.function_scoped_fixture


def official(path: Path) -> dict[str, list[tuple[int, float, float]]]:
    """(step, value, wall time) by tag, as TensorBoard itself reads them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    found = {t: [(e.step, e.value, e.wall_time) for e in events.Scalars(t)] for t in events.Tags()["scalars"]}
    for tag in events.Tags()["tensors"]:
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            from tensorboard.util.tensor_util import make_ndarray

            found[tag] = [(e.step, float(make_ndarray(e.tensor_proto)), e.wall_time) for e in events.Tensors(tag)]
    return found


def assert_same(path: Path) -> None:
    ours, theirs = series(read("tensorboard", path)), official(path)
    assert set(ours) == set(theirs)
    for tag, points in theirs.items():
        step, value, time = (np.array(column, np.float64) for column in zip(*points, strict=True))
        np.testing.assert_array_equal(ours[tag].step, step)
        np.testing.assert_array_equal(ours[tag].value, value)
        np.testing.assert_array_equal(ours[tag].time, time)


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_tensorboard_on_tensorboardx(tmp_path: Path) -> None:
    tensorboardx = pytest.importorskip("tensorboardX")
    writer = tensorboardx.SummaryWriter(str(tmp_path))
    random = np.random.default_rng(0)
    for step in range(400):
        writer.add_scalar("train/loss", 2 / (step + 1), step)
        writer.add_scalar("train/rate", 1e-3 * step, step * 1000)
        writer.add_scalar("eval/score", [math.nan, math.inf, -math.inf, 0.0][step % 4], step)
        if step % 50 == 0:
            writer.add_histogram("weights", random.standard_normal(100), step)
            writer.add_image("picture", random.random((3, 8, 8)), step)
            writer.add_text("note", "hello", step)
    writer.close()
    (path,) = tmp_path.glob("events*")
    assert claim("tensorboard", path) == 1.0
    assert_same(path)


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_tensorboard_on_its_own_writer(tmp_path: Path) -> None:
    module = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = module.EventFileWriter(str(tmp_path))
    for step in range(50):
        for tag, number in (("f4", np.float32(step / 3)), ("f8", np.float64(step / 3))):
            value = summary_pb2.Summary.Value(tag=tag, tensor=make_tensor_proto(number))
            if step == 0:
                value.metadata.plugin_data.plugin_name = "scalars"
            summary = summary_pb2.Summary(value=[value])
            writer.add_event(event_pb2.Event(wall_time=1e9 + step, step=step, summary=summary))
        many = [summary_pb2.Summary.Value(tag=f"m/{i}", simple_value=step * i) for i in range(5)]
        many.append(summary_pb2.Summary.Value(tag="histo", histo=summary_pb2.HistogramProto(bucket=[step, 1.0])))
        writer.add_event(event_pb2.Event(wall_time=1e9 + step, step=step, summary=summary_pb2.Summary(value=many)))
    writer.close()
    (path,) = tmp_path.glob("events*")
    assert_same(path)


@pytest.mark.parametrize(
    ("dtype", "content", "wanted"),
    [
        (1, message(5, struct.pack("<f", 1.5)), 1.5),  # float_val, packed
        (1, b"\x2d" + struct.pack("<f", 1.5), 1.5),  # … and not
        (2, message(6, struct.pack("<d", 0.1)), 0.1),
        (3, message(7, b"\x07"), 7.0),
        (9, message(10, b"\xff" * 9 + b"\x01"), -1.0),
        (10, message(11, b"\x01"), 1.0),
        (19, message(13, b"\x80\x78"), 1.0),  # half, 0x3c00
        (14, message(13, b"\x80\x7f"), 1.0),  # bfloat16, 0x3f80
        (1, message(4, struct.pack("<f", -2.5)), -2.5),  # tensor_content
        (2, message(4, struct.pack("<d", 0.1)), 0.1),
        (9, message(4, struct.pack("<q", -3)), -3.0),
        (14, message(4, b"\x80\x3f"), 1.0),
        (1, b"", 0.0),  # all zeros are left out
    ],
)
def test_tensor_forms(tmp_path: Path, dtype: int, content: bytes, wanted: float) -> None:
    value = message(1, "x") + message(8, integer(1, dtype) + message(2, b"") + content)
    log = read("tensorboard", write(tmp_path, NAME, version() + b"".join(event(i, value) for i in range(1, 10))))
    assert series(log)["x"].value.tolist() == [wanted] * 9
    assert not log.problems


def test_tensors_that_are_no_scalars(tmp_path: Path) -> None:
    vector = message(8, integer(1, 1) + message(2, message(2, integer(1, 2))) + message(4, bytes(8)))
    text = message(8, integer(1, 7) + message(2, b"") + message(8, "hello"))
    curve = message(8, integer(1, 1) + message(4, bytes(4)))
    plugin = message(9, message(1, message(1, "pr_curves")))
    values = (message(1, "v") + vector, message(1, "t") + text, message(1, "c") + curve + plugin)
    later = event(2, message(1, "c") + curve)  # metadata come only once
    log = read("tensorboard", write(tmp_path, NAME, event(1, *values) + later))
    assert not log.series
    assert not log.problems


def test_many_tags_of_one_length_stay_apart_and_in_order(tmp_path: Path) -> None:
    data = version() + b"".join(event(i // 30, scalar(f"layer{i % 30:02d}", i), time=1e9 + i) for i in range(3000))
    found = series(read("tensorboard", write(tmp_path, NAME, data)))
    assert list(found) == [f"layer{i:02d}" for i in range(30)]
    for i in range(30):
        assert found[f"layer{i:02d}"].value.tolist() == list(range(i, 3000, 30))
        assert found[f"layer{i:02d}"].line.tolist() == list(range(i + 2, 3002, 30))


def test_negative_and_large_steps(tmp_path: Path) -> None:
    steps = [-1, 0, 1, 127, 128, 2**40, -(2**40)] * 10
    found = series(read("tensorboard", write(tmp_path, NAME, b"".join(event(s, scalar("x", 1)) for s in steps))))
    assert found["x"].step.tolist() == steps


def test_purge_within_a_file(tmp_path: Path) -> None:
    start = event(5, extra=message(7, integer(1, 1)))
    points = [event(i, scalar("x", i)) for i in range(10)]
    log = read("tensorboard", write(tmp_path, NAME, version() + b"".join(points) + start + b"".join(points[5:])))
    assert series(log)["x"].step.tolist() == list(range(10))
    (restart,) = [e for e in log.events if e.kind == "start"]
    assert (restart.step, restart.value, restart.line) == (5, "purge", 12)


def test_damaged_payload_is_skipped(tmp_path: Path) -> None:
    records = [version()] + [event(i, scalar("x", i)) for i in range(1, 100)]
    data = bytearray(b"".join(records))
    place = sum(len(r) for r in records[:40]) + 20
    data[place] ^= 1
    log = read("tensorboard", write(tmp_path, NAME, bytes(data)))
    assert len(series(log)["x"]) == 98
    assert 40 not in series(log)["x"].step
    (problem,) = log.problems
    assert (problem.line, problem.offset) == (41, place - 20)


def test_damaged_length_ends_the_file(tmp_path: Path) -> None:
    records = [version()] + [event(i, scalar("x", i)) for i in range(1, 100)]
    data = bytearray(b"".join(records))
    place = sum(len(r) for r in records[:40])
    data[place] ^= 1
    log = read("tensorboard", write(tmp_path, NAME, bytes(data)))
    assert series(log)["x"].step.tolist() == list(range(1, 40))
    (problem,) = log.problems
    assert problem.offset == place
    assert "resynchronised" in problem.why


def test_cut_anywhere_keeps_every_whole_record(tmp_path: Path) -> None:
    records = [version()] + [event(i, scalar("x", i)) for i in range(1, 9)]
    data, ends = b"".join(records), np.cumsum([len(r) for r in records])
    for cut in range(12, len(data)):
        log = read("tensorboard", write(tmp_path, NAME, data[:cut]))
        assert sum(len(s) for s in log.series) == max(int((ends <= cut).sum()) - 1, 0)
        assert not log.problems


def test_blocks_join_seamlessly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = version() + b"".join(event(i, scalar("x" * (1 + i % 7), i)) for i in range(500))
    whole = series(read("tensorboard", write(tmp_path, NAME, data)))
    monkeypatch.setattr(_tfrecord, "BLOCK", 100)
    pieces = series(read("tensorboard", write(tmp_path, NAME, data)))
    assert {n: s.value.tolist() for n, s in whole.items()} == {n: s.value.tolist() for n, s in pieces.items()}
    monkeypatch.setattr(_tfrecord, "LARGEST", 200)
    large = event(1, message(1, "p") + message(4, bytes(5000)))
    log = read("tensorboard", write(tmp_path, NAME, version() + large + event(2, scalar("x", 1))))
    assert series(log)["x"].line.tolist() == [3]
    assert "too large" in log.problems[0].why


def test_packed_empty_and_foreign_files(tmp_path: Path) -> None:
    data = version() + event(1, scalar("x", 1))
    assert len(read("tensorboard", write(tmp_path, NAME + ".gz", gzip.compress(data))).series) == 1
    assert read("tensorboard", write(tmp_path, NAME, b"")).problems
    assert read("tensorboard", write(tmp_path, NAME, b"plain text, quite long")).problems
    assert claim("tensorboard", write(tmp_path, NAME, b"")) > 0.5
    assert claim("tensorboard", write(tmp_path, "data.tfrecord", tfrecord(message(1, "an example")))) == 0.0
    assert claim("tensorboard", write(tmp_path, "train.log", b"step 1 loss 2.0\n" * 10)) == 0.0
    assert claim("tensorboard", write(tmp_path, "renamed", data)) == 1.0


def test_events_that_all_differ_are_compared_a_few_times_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    same = tensorboard._same
    monkeypatch.setattr(tensorboard, "_same", lambda rows, *rest: compared.append(len(rows)) or same(rows, *rest))
    values = [scalar("x", i) + message(9, message(2, f"shown as {i:04d}")) for i in range(1500)]
    log = read("tensorboard", write(tmp_path, NAME, b"".join(event(1, v) for v in values)))
    assert series(log)["x"].value.tolist() == list(range(1500))
    assert sum(compared) < 10 * 1500


@given(st.binary(max_size=200))
def test_crc_is_castagnoli(data: bytes) -> None:
    assert _crc32c.crc32c(b"123456789") == 0xE3069283
    assert _crc32c.crc32c(data) == crc32c(data)


@given(st.integers(0, 70), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_crc_of_rows(length: int, rows: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 256, (rows, length), dtype=np.uint8)
    matrix[:, : length // 2] = 7
    assert _crc32c.crc32c_rows(matrix).tolist() == [crc32c(row.tobytes()) for row in matrix]


VALID = version() + b"".join(
    event(i, scalar("loss", i), message(1, "t") + message(8, integer(1, 1) + message(5, bytes(4)))) for i in range(12)
)


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    read("tensorboard", write(tmp_path, NAME, data))
    read("tensorboard", write(tmp_path, NAME, tfrecord(data) * 8 + tfrecord(double(1, 1.0) + data)))


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4), st.floats(0.05, 1))
def test_damage_costs_only_what_it_hits(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    log = read("tensorboard", write(tmp_path, NAME, mutated(VALID, places, cut)))
    for found in log.series:
        assert set(found.value.tolist()) <= set(range(12))
        assert (np.diff(found.step) > 0).all()
    lost = 12 - len(series(log).get("loss", ()))
    assert lost == 0 or log.problems or cut < 1
    assert (
        lost <= len(places) or cut < 1 or "resynchronised" in str(log.problems) or "at its start" in str(log.problems)
    )


@pytest.mark.shared
@pytest.mark.parametrize("name", ["tensorboard_scalars", "tensorboard_new_style", "tensorboardx"])
def test_real_runs(name: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[name]
    (path,) = (shared("corpus/artifacts") / name / "run").glob("events*")
    log = read("tensorboard", path)
    for metric, wanted in truth["metrics"].items():
        assert matches(log, metric, wanted), metric
    assert not log.problems


@pytest.mark.shared
def test_every_real_event_file_agrees_with_tensorboard() -> None:
    paths = sorted(shared("corpus").rglob("*tfevents*"))
    assert len(paths) > 15
    for path in paths:
        if path.stat().st_size < 60_000:
            assert_same(path)
