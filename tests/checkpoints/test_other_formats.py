"""Orbax, Flax, GGUF and TensorFlow: names, shapes, types and values, and what is missing from them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from other_formats import flax_file, gguf_file, orbax_folder, tensorflow_files
from runvet.checkpoints import Checkpoint, list_checkpoints

RNG = np.random.default_rng(3)
WEIGHTS = {"params.a.kernel": RNG.standard_normal((8, 6)).astype(np.float32), "params.a.bias": np.zeros(6, np.float32)}
STATE = {**WEIGHTS, "opt_state.0.mu.a.kernel": np.full((8, 6), 2, np.float32)}


def only(path: Path) -> Checkpoint:
    (found,) = list_checkpoints(path, deep=True, cache=False)
    return found


def figures(found: Checkpoint, name: str) -> tuple[float, float]:
    assert found.values is not None
    i = next(i for i, t in enumerate(found.tensors) if t.name == name)
    assert found.values.scanned[i]
    return float(found.values.mean[i]), float(found.values.std[i])


def agrees(found: Checkpoint, name: str, array: np.ndarray) -> bool:
    return figures(found, name) == pytest.approx((array.mean(dtype=np.float64), array.std(dtype=np.float64)), rel=1e-5)


@pytest.mark.parametrize("ocdbt", [True, False])
def test_orbax(tmp_path, ocdbt):
    pytest.importorskip("tensorstore")
    orbax_folder(tmp_path / "ckpt" / "1000", STATE, ocdbt=ocdbt, step=990)
    found = only(tmp_path)
    assert (found.path, found.format, found.step, found.usable, found.finite) == ("ckpt/1000", "orbax", 990, True, True)
    assert {t.name: (t.shape, t.dtype, t.role) for t in found.tensors} == {
        "params.a.kernel": ((8, 6), "float32", "model"),
        "params.a.bias": ((6,), "float32", "model"),
        "opt_state.0.mu.a.kernel": ((8, 6), "float32", "optimizer"),
    }
    assert all(agrees(found, name, array) for name, array in STATE.items())


def test_orbax_that_is_not_finite_or_not_whole(tmp_path):
    pytest.importorskip("tensorstore")
    orbax_folder(tmp_path / "1", {"params.w": np.full((4, 4), np.nan, np.float32), **WEIGHTS})
    assert [p.name for p in only(tmp_path / "1").problems] == ["non-finite-weights"]
    orbax_folder(tmp_path / "2", WEIGHTS, ocdbt=False)
    next((tmp_path / "2" / "params.a.kernel").glob("[0-9]*")).unlink()
    assert "missing-shards" in {p.name for p in only(tmp_path / "2").problems}
    orbax_folder(tmp_path / "3", WEIGHTS)
    shutil.rmtree(tmp_path / "3" / "d")
    assert only(tmp_path / "3").usable is False
    orbax_folder(tmp_path / "4", WEIGHTS)
    (tmp_path / "4" / "_CHECKPOINT_METADATA").write_text(json.dumps({"commit_timestamp_nsecs": None}))
    assert only(tmp_path / "4").usable is False
    orbax_folder(tmp_path / "5.orbax-checkpoint-tmp-17", WEIGHTS)
    found = next(c for c in list_checkpoints(tmp_path, cache=False) if c.path.startswith("5"))
    assert (found.step, found.usable) == (5, False)


def test_orbax_without_tensorstore(tmp_path, monkeypatch):
    pytest.importorskip("tensorstore")
    orbax_folder(tmp_path / "7", STATE, step=7)
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    found = only(tmp_path / "7")
    assert (found.parameters, found.groups["optimizer"].tensors, found.usable, found.finite) == (102, 1, None, None)
    assert "pip install 'runvet[orbax]'" in found.problems[0].message


def test_flax(tmp_path):
    state = {"params": {"a": {"kernel": WEIGHTS["params.a.kernel"], "bias": WEIGHTS["params.a.bias"]}}, "step": 120,
             "opt_state": {"0": {"count": np.asarray(120, np.int32), "mu": np.ones(5, np.float16)}, "1": {}}}  # fmt: skip
    (tmp_path / "flax_model.msgpack").write_bytes(flax_file(state))
    found = only(tmp_path)
    assert (found.format, found.kind, found.step, found.finite) == ("msgpack", "flax", 120, True)
    assert {n: g.tensors for n, g in found.groups.items()} == {"model": 2, "optimizer": 2}
    assert all(agrees(found, name, array) for name, array in WEIGHTS.items())


def test_flax_in_chunks(tmp_path):
    whole = RNG.standard_normal((5, 4)).astype(np.float32)
    flat = whole.reshape(-1)
    chunked = {"__msgpack_chunked_array__": True, "shape": {"0": 5, "1": 4}, "chunks": {"0": flat[:12], "1": flat[12:]}}
    (tmp_path / "model.msgpack").write_bytes(flax_file({"params": {"w": chunked}}))
    found = only(tmp_path)
    assert [(t.name, t.shape) for t in found.tensors] == [("params.w", (5, 4))]
    assert agrees(found, "params.w", whole)


def test_flax_by_the_library(tmp_path):
    msgpack = pytest.importorskip("msgpack")
    array = np.arange(300, dtype=np.float32).reshape(3, 100)
    packed = msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True))
    (tmp_path / "model.msgpack").write_bytes(
        msgpack.packb({"params": {"w": packed}, "epoch": 3, "lr": 1e-3}, strict_types=True)
    )
    found = only(tmp_path)
    assert (found.epoch, found.plain["lr"]) == (3, 1e-3)
    assert agrees(found, "params.w", array)


def test_gguf(tmp_path):
    weights = RNG.standard_normal((4, 64)).astype(np.float32)
    data = gguf_file(
        {"general.architecture": "llama"}, {"a": weights, "b": (8, (2, 32), bytes(68)), "c": (99, (2, 2), b"")}
    )
    (tmp_path / "model.gguf").write_bytes(data)
    found = only(tmp_path)
    assert {t.name: (t.shape, t.dtype, t.layout) for t in found.tensors} == {
        "a": ((4, 64), "float32", "dense"), "b": ((2, 32), "q8_0", "quantized"), "c": ((2, 2), "ggml_99", "quantized"),
    }  # fmt: skip
    assert agrees(found, "a", weights)
    assert found.plain["general.architecture"] == "llama"


@pytest.mark.parametrize("shards", [1, 3])
def test_tensorflow(tmp_path, shards):
    arrays = {
        "model/a/kernel/.ATTRIBUTES/VARIABLE_VALUE": WEIGHTS["params.a.kernel"],
        "model/a/bias/.ATTRIBUTES/VARIABLE_VALUE": WEIGHTS["params.a.bias"],
        "optimizer/_variables/2/.ATTRIBUTES/VARIABLE_VALUE": np.ones(4, np.float32),
        "step/.ATTRIBUTES/VARIABLE_VALUE": np.asarray(4990, np.int64),
    }
    tensorflow_files(tmp_path / "train" / "ckpt-5000", arrays, shards=shards)
    found = only(tmp_path)
    assert (found.path, found.format, found.step, found.finite) == ("train/ckpt-5000", "tensorflow", 4990, True)
    assert {t.name: t.role for t in found.tensors} == {
        "model.a.kernel": "model", "model.a.bias": "model", "optimizer._variables.2": "optimizer",
    }  # fmt: skip
    assert agrees(found, "model.a.kernel", WEIGHTS["params.a.kernel"])
    last = tmp_path / "train" / f"ckpt-5000.data-{shards - 1:05d}-of-{shards:05d}"
    last.write_bytes(last.read_bytes()[:-1])
    assert "damaged-checkpoint" in {p.name for p in only(tmp_path).problems}
    if shards > 1:
        last.unlink()
        assert "missing-shards" in {p.name for p in only(tmp_path).problems}
    (tmp_path / "train" / "ckpt-5000.index").unlink()
    assert "its index is missing" in only(tmp_path).problems[0].message


@pytest.mark.parametrize("form", ["msgpack", "gguf", "tensorflow"])
def test_cut_anywhere(tmp_path, form):
    """Every beginning of a file is a checkpoint with a named problem (or an empty one), never an exception."""
    if form == "tensorflow":
        tensorflow_files(tmp_path / "ckpt-1", {"a/b": np.ones((2, 3), np.float32), "a/c": np.ones(4, np.float32)})
        place = tmp_path / "ckpt-1.index"
    else:
        place = tmp_path / f"model.{form}"
        arrays = {"w": np.ones((2, 4), np.float32)}  # without padding behind it
        place.write_bytes(flax_file({"params": arrays}) if form == "msgpack" else gguf_file({"a": 1}, arrays))
    data = place.read_bytes()
    for end in range(len(data)):
        place.write_bytes(data[:end])
        found = only(tmp_path)
        assert found.problems, end
        assert found.usable is False, end
        assert not any("Error" in p.message for p in found.problems), (end, found.problems)
        place.write_bytes(data[:end] + bytes([data[end] ^ 0x55]) + data[end + 1 :])
        assert not any(
            "Error" in p.message for c in list_checkpoints(tmp_path, deep=True, cache=False) for p in c.problems
        ), end
