"""W&B's .wandb files: written here byte by byte, and the corpus's real ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from binary_writers import double, integer, leveldb, message, mutated, timestamp
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

TMP = HealthCheck.function_scoped_fixture
NAME = "run-abc.wandb"


def wandb(*records: bytes) -> bytes:
    return leveldb(records, b":W&B", 0xBEE1, 0)


def item(key: str | tuple[str, ...], value: str, *, old: bool = False) -> bytes:
    keys = (key,) if isinstance(key, str) else key
    return message(1, b"".join(message(1 if old else 2, k) for k in keys) + message(16, value))


def row(step: int, *items: bytes) -> bytes:
    axes = item("_timestamp", f"{1.7e9 + step:.1f}"), item("_runtime", str(step)), item("_step", str(step))
    return integer(1, step + 1) + message(2, b"".join((*items, *axes)) + message(2, integer(1, step) if step else b""))


def run_record(**config: str) -> bytes:
    pairs = b"".join(item(key, value, old=True) for key, value in config.items())
    named = message(1, "abc") + message(3, "proj") + message(4, pairs) + message(8, "my run")
    return message(17, named + timestamp(17, 1.7e9))


def test_history_config_and_exit(tmp_path: Path) -> None:
    rows = [row(i, item("loss", repr(2 / (i + 1))), item(("eval", "acc"), str(i))) for i in range(3000)]
    data = wandb(run_record(lr="0.1", model='{"depth": 2, "kind": "mlp"}', _wandb="{}"), *rows, message(18, b""))
    path = write(tmp_path, NAME, data)
    assert claim("wandb", path) == 1.0
    log = read("wandb", path)
    assert list(series(log)) == ["loss", "eval.acc"]
    loss = series(log)["loss"]
    assert loss.value.tolist() == [2 / (i + 1) for i in range(3000)]
    assert loss.step.tolist() == list(range(3000))
    assert loss.time[10] == 1.7e9 + 10
    assert loss.line.tolist() == list(range(1, 3001))
    assert settings(log) == {
        "lr": 0.1, "model.depth": 2, "model.kind": "mlp", "wandb.run_id": "abc", "wandb.project": "proj",
        "wandb.run_name": "my run", "wandb.started": 1.7e9,
    }  # fmt: skip
    assert [e.kind for e in log.events] == ["start", "finished"]
    assert not log.problems


def test_what_is_no_number_is_passed_over(tmp_path: Path) -> None:
    odd = ["NaN", "Infinity", "-Infinity", "1e400", "null", "true", '"1.5"', '{"_type": "histogram"}', "[1, 2]", "7"]
    log = read("wandb", write(tmp_path, NAME, wandb(*(row(i, item("x", v)) for i, v in enumerate(odd)))))
    x = series(log)["x"]
    assert x.step.tolist() == [0, 1, 2, 3, 9]
    assert math.isnan(x.value[0])
    assert x.value[1:].tolist() == [math.inf, -math.inf, math.inf, 7.0]


def test_values_cannot_shift_each_other(tmp_path: Path) -> None:
    rows = [row(i, item("a", "1,2" if i == 5 else "1"), item("b", "3")) for i in range(10)]
    found = series(read("wandb", write(tmp_path, NAME, wandb(*rows))))
    assert found["a"].value.tolist() == [1.0] * 9
    assert found["b"].value.tolist() == [3.0] * 10


def test_old_items_and_missing_step_item(tmp_path: Path) -> None:
    rows = [message(2, item("x", str(i), old=True) + message(2, integer(1, 5 * i))) for i in range(4)]
    x = series(read("wandb", write(tmp_path, NAME, wandb(*rows))))["x"]
    assert (x.value.tolist(), x.step.tolist()) == ([0, 1, 2, 3], [0, 5, 10, 15])


def test_rows_of_changing_form(tmp_path: Path) -> None:
    rows = [row(i, *(item(f"k{j}", str(i)) for j in range(10) if i % (j + 1) == 0)) for i in range(600)]
    found = series(read("wandb", write(tmp_path, NAME, wandb(*rows))))
    for j in range(10):
        assert found[f"k{j}"].value.tolist() == list(range(0, 600, j + 1))
        assert found[f"k{j}"].step.tolist() == list(range(0, 600, j + 1))


def test_machine_measurements_resume_and_failure(tmp_path: Path) -> None:
    stats = message(7, timestamp(2, 5.5) + message(3, message(1, "gpu.0.temp") + message(16, "61.0")))
    resumed = message(17, integer(14, 40) + integer(18, 1))
    log = read("wandb", write(tmp_path, NAME, wandb(resumed, stats, message(18, integer(1, 1)))))
    assert series(log)["system/gpu.0.temp"].time.tolist() == [5.5]
    assert [(e.kind, e.value) for e in log.events] == [("start", None), ("resume", 40.0), ("error", 1.0)]


def test_credentials_are_masked(tmp_path: Path) -> None:
    log = read("wandb", write(tmp_path, NAME, wandb(run_record(api_key='"abcdef0123456789abcdef0123456789abcdef01"'))))
    assert "abcdef0123456789" not in str(log)


def test_damage_costs_the_rest_of_its_block(tmp_path: Path) -> None:
    rows = [row(i, item("x", str(i))) for i in range(2000)]
    data = bytearray(wandb(*rows))
    data[40_000] ^= 1
    log = read("wandb", write(tmp_path, NAME, bytes(data)))
    steps = series(log)["x"].step
    assert steps[0] == 0
    assert steps[-1] == 1999
    assert 1600 < len(steps) < 2000
    assert 32_768 < (log.problems[0].offset or 0) <= 40_000


def test_cut_anywhere_is_the_normal_end_of_a_killed_run(tmp_path: Path) -> None:
    data = wandb(*(row(i, item("x", str(i))) for i in range(900)))
    before = 0
    for cut in range(7, len(data), 997):
        log = read("wandb", write(tmp_path, NAME, data[:cut]))
        points = sum(len(s) for s in log.series)
        assert points >= before
        assert not log.problems
        before = points


def test_records_longer_than_a_block(tmp_path: Path) -> None:
    long = row(1, item("text", json.dumps("y" * 100_000)), item("x", "3"))
    log = read("wandb", write(tmp_path, NAME, wandb(row(0, item("x", "1")), long, row(2, item("x", "5")))))
    assert series(log)["x"].value.tolist() == [1.0, 3.0, 5.0]


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    assert read("wandb", write(tmp_path, NAME, b"")).problems
    assert read("wandb", write(tmp_path, NAME, b"something else")).problems
    assert claim("wandb", write(tmp_path, "a.log", b"something else")) == 0.0
    assert not read("wandb", write(tmp_path, NAME, wandb())).problems


VALID = wandb(run_record(lr="1"), *(row(i, item("x", str(i)), item(("a", "b"), "2")) for i in range(20)))


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.binary(max_size=200))
def test_any_record(tmp_path: Path, data: bytes) -> None:
    forms = (data, message(2, data), message(17, data), message(5, data), message(7, data), message(18, data))
    read("wandb", write(tmp_path, NAME, wandb(*forms, row(1, data, item("x", "1")), message(2, message(1, data)))))
    read("wandb", write(tmp_path, NAME, VALID[:7] + data))
    read("wandb", write(tmp_path, NAME, data + double(1, 2.0)))


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4), st.floats(0.05, 1))
def test_damage(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    log = read("wandb", write(tmp_path, NAME, mutated(VALID, places, cut)))
    points = [v for s in log.series if s.name == "x" for v in s.value.tolist()]
    assert points == list(range(len(points)))
    assert len(points) == 20 or cut < 1 or log.problems or places


@pytest.mark.shared
@pytest.mark.parametrize("name", ["wandb_offline", "wandb_killed", "wandb_machine_lost"])
def test_real_runs(name: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[name]
    (path,) = (shared("corpus/artifacts") / name).rglob("*.wandb")
    log = read("wandb", path)
    for metric, wanted in truth["metrics"].items():
        if truth["finished"]:
            assert matches(log, metric, wanted), metric
        else:
            assert len(series(log)[metric]) == truth["read_by_official_reader"][metric]
    assert any(e.kind == "finished" for e in log.events) == truth["finished"]
    assert settings(log)["model.depth"] == 2
    assert not log.problems


TEXTS = st.sampled_from(
    [
        "1",
        "0.5",
        "-3e-5",
        "NaN",
        "-Infinity",
        "null",
        '"a, b"',
        "1,2",
        "12345678901234567890",
        "1e400",
        "-",
        "[1]",
        "0" * 140,
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """Rows of a few kinds in turn, with other records between them."""
    names = ("a", "loss", "a_rather_long_name/of/a/metric", "x" * 90, "y" * 130, "é", ("eval", "acc"))
    kinds = draw(st.lists(st.lists(st.sampled_from(names), max_size=4), min_size=1, max_size=4))
    noise = draw(st.randoms(use_true_random=False))
    odd = draw(st.lists(TEXTS, min_size=1, max_size=3))
    records: list[bytes] = []
    for step in range(draw(st.integers(1, 60))):
        items = [
            item(k, noise.choice(odd) if noise.random() < 0.1 else f"{noise.uniform(-9, 9)!r}")
            for k in noise.choice(kinds)
        ]
        records.append(row(step * 97, *items))
        if noise.random() < 0.1:
            records.append(
                noise.choice(
                    (message(4, b"console"), integer(1, step) + message(3, b"summary"), b"\x0a", b"\x08\x01\x12\x05ab")
                )
            )
    return records


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(histories())
def test_rows_read_together_are_those_read_one_by_one(tmp_path: Path, records: list[bytes]) -> None:
    path = write(tmp_path, NAME, wandb(*records))
    together = series(read("wandb", path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runvet.readers.wandb.FORMS", 0)
        alone = series(read("wandb", path))
    assert set(together) == set(alone)
    for name, one in alone.items():
        for column in ("value", "step", "time", "line"):
            np.testing.assert_array_equal(
                getattr(one, column), getattr(together[name], column), err_msg=f"{name} {column}"
            )


def test_many_rows_of_two_kinds_keep_their_order(tmp_path: Path) -> None:
    rows = [row(i, item("loss", str(i)), *([item("val", str(-i))] if i % 3 == 0 else [])) for i in range(30_000)]
    found = series(read("wandb", write(tmp_path, NAME, wandb(*rows))))
    assert found["loss"].value.tolist() == list(range(30_000))
    assert found["loss"].line.tolist() == list(range(1, 30_001))
    assert found["val"].step.tolist() == list(range(0, 30_000, 3))
