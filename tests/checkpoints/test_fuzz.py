"""Random bytes and changed valid files: a checkpoint comes back, whatever it was; the reader's own limits hold it."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from other_formats import flax_file, gguf_file
from runvet.checkpoints.formats import read_file
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.problems import Damaged, Unread
from runvet.checkpoints.unpickle import Interpreter
from runvet.checkpoints.window import Window

OPTIONS = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def seeds() -> dict[str, bytes]:
    """Small valid files by name."""
    npz, header = io.BytesIO(), b'{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"__metadata__":{"step":"3"}}'
    np.savez(npz, w=np.ones((3, 4)), b=np.arange(3))
    made = {
        "a.npz": npz.getvalue(),
        "a.safetensors": struct.pack("<Q", len(header)) + header + bytes(16),
        "model.pkl": pickle.dumps({"w": np.ones((3, 4)), "step": 4, "names": ["a", {"b": (1, 2.5, None)}]}, 2),
    }
    made["state.msgpack"] = bytes(flax_file({"params": {"w": np.ones((3, 4), np.float32)}, "step": 7, "opt_state": {}}))
    made["model.gguf"] = gguf_file({"general.name": "x"}, {"blk.0.w": np.ones((4, 8), np.float32)})
    torch = pytest.importorskip("torch")
    for name, new in (("a.pt", True), ("legacy.pt", False)):
        out = io.BytesIO()
        torch.save(
            {"model": {"w": torch.ones(3, 4)[:, :2], "b": torch.ones(2, dtype=torch.bfloat16)}, "step": 3},
            out,
            _use_new_zipfile_serialization=new,
        )
        made[name] = out.getvalue()
    return made


SEEDS = seeds()


def read(folder: Path, name: str, data: bytes) -> Checkpoint:
    path = folder / name
    path.write_bytes(data)
    found = read_file(path, name, None, deep=True)
    assert isinstance(found, Checkpoint)
    assert found.parameters >= 0
    assert not any("promises" in p.message and "Error" in p.message for p in found.problems), (
        found.problems
    )  # the net below all readers caught nothing
    return found


@OPTIONS
@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_changed_bytes(tmp_path, name, changes):
    data = bytearray(SEEDS[name])
    for at, value in changes:
        data[at % len(data)] = value
    read(tmp_path, name, bytes(data))


@OPTIONS
@given(st.sampled_from(sorted(SEEDS)), st.integers(0, 1 << 20), st.integers(0, 400), st.binary(max_size=40))
def test_cut_out_and_put_in(tmp_path, name, at, length, new):
    data = SEEDS[name]
    at %= len(data)
    read(tmp_path, name, data[:at] + new + data[at + length :])


@OPTIONS
@given(
    st.sampled_from(["a.pt", "a.safetensors", "model.pkl", "a.npz", "a.npy", "a.ckpt"]),
    st.sampled_from([b"", b"PK\3\4", b"\x80\x02", b"\x93NUMPY\1\0", b"PK\5\6"]),
    st.binary(max_size=300),
)
def test_random_bytes(tmp_path, name, start, rest):
    read(tmp_path, name, start + rest)


OPERATIONS = [
    bytes([c])
    for c in b"(0123NKMJGISVTUXBC)t]le}dsucRbiopqrhjgPQ.\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98"
]


@settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(OPERATIONS),
            st.binary(max_size=5),
            st.just(b"X\1\0\0\0a"),
            st.just(b"K\1"),
            st.just(b"ccollections\nOrderedDict\n"),
        ),
        max_size=60,
    )
)
def test_random_programs(parts):
    data = b"".join(parts) + b"."
    try:
        Interpreter(Window.memory(data), lambda value: value).load()
    except (Damaged, Unread):
        return


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()),
        lambda c: st.one_of(st.lists(c), st.dictionaries(st.text(), c), st.tuples(c, c)),
        max_leaves=30,
    ),
    st.integers(0, 5),
)
def test_plain_values_come_back(value, protocol):
    data = pickle.dumps(value, protocol)
    assert same(Interpreter(Window.memory(data), lambda v: v).load().value, value)


def same(found, value) -> bool:
    if isinstance(value, dict):
        return isinstance(found, dict) and found.keys() == value.keys() and all(same(found[k], value[k]) for k in value)
    if isinstance(value, (list, tuple)):
        return type(found) is type(value) and len(found) == len(value) and all(map(same, found, value))
    return found == value or (isinstance(value, int) and isinstance(found, str))


def test_against_the_buffer_edge():
    """Strings and numbers at every place around the end of the reading block."""
    for pad in range(262_144 - 40, 262_144 + 40):
        body = pickle.dumps([b"x" * 60_000] * 4, 4)[:-1]  # shared: memoised once
        value = [bytes([65 + i]) * n for i, n in enumerate((60_000, 60_001, 60_002, 60_003, pad - 240_100 - 40))] + [
            "name" * 5,
            70_000,
            -5,
            2**40,
            1.5,
        ] * 30
        del body
        data = pickle.dumps(value, 4)
        assert Interpreter(Window.memory(data), lambda v: v).load().value == value


def test_zip_directories_of_python_and_of_others(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("w.npy", "w", force_zip64=True) as member:
        np.save(member, np.arange(5.0))
    found = read_file(path, "a.npz", None, deep=True)
    assert found.values.mean[0] == 2.0
