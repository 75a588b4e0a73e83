"""Files made to do harm: nothing runs, memory and time stay bounded, and the file says what is wrong with it."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from runvet.checkpoints.danger import dangerous, needed
from runvet.checkpoints.formats import read_file
from runvet.checkpoints.judge import infinite_on_purpose

SENTINEL = "RUNVET_TEST_EXECUTED"


def read(path: Path, deep: bool = True):
    """A hostile file: it ends (the minutes guard against hanging, they measure no speed) and takes at most 400 MB."""
    start = time.monotonic()
    tracemalloc.start()
    try:
        found = read_file(path, path.name, None, deep=deep)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 300
    assert peak < 400 << 20
    return found


def plain(tmp_path: Path, data: bytes):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    return read(path)


def torch_zip(
    tmp_path: Path,
    pickled: bytes,
    members: dict[str, bytes] | None = None,
    name: str = "a.pt",
    method: int = zipfile.ZIP_STORED,
) -> Path:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a/data.pkl", pickled)
        for member, data in (members or {}).items():
            archive.writestr(member, data)
    return path


def tensor_pickle(
    count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...], kind: bytes = b"FloatStorage"
) -> bytes:
    """{'w': tensor} over the storage '0', with any numbers."""
    n = lambda v: b"\x8a" + bytes([9]) + v.to_bytes(9, "little", signed=True)  # noqa: E731
    t = lambda vs: b"(" + b"".join(n(v) for v in vs) + b"t"  # noqa: E731
    pid = b"(X\x07\0\0\0storagectorch\n" + kind + b"\nX\x01\0\0\0" + b"0X\x03\0\0\0cpu" + n(count) + b"tQ"
    body = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + n(offset) + t(size) + t(stride) + b"\x89}tR"
    return b"\x80\x02}X\x01\0\0\0w" + body + b"s."


class Evil:
    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_called(tmp_path, protocol):
    marker = tmp_path / "executed"
    found = plain(tmp_path, pickle.dumps({"hook": Evil(os.system, f"touch {marker}")}, protocol))
    assert not marker.exists()
    assert any(n.endswith(".system") for n in found.dangerous)
    assert [p.code for p in found.problems if p.name == "code-in-checkpoint"] == ["CKPT105"]
    assert found.usable is False


@pytest.mark.parametrize(
    "call",
    [
        Evil(eval, "1"),
        Evil(exec, "1"),
        Evil(__import__, "os"),
        Evil(compile, "1", "", "eval"),
        Evil(getattr, sys, "exit"),
        Evil(open, "x"),
    ],
)
def test_calls_that_run_code_are_named(tmp_path, call):
    if call.function is getattr:  # sys itself can't be pickled: what an attacker writes by hand
        data = b"\x80\x04cbuiltins\ngetattr\ncsys\nmodules\nX\x04\0\0\0exit\x86R."
    else:
        data = pickle.dumps([call])
    assert plain(tmp_path, data).dangerous


def test_names_made_on_the_stack_and_hidden_behind_attributes(tmp_path):
    assert plain(tmp_path, b"\x80\x04X\x02\0\0\0osX\x06\0\0\0system\x93X\x02\0\0\0ls\x85R.").dangerous == ("os.system",)
    assert plain(tmp_path, b"\x80\x04ctorch.serialization\nos.system\nX\x02\0\0\0ls\x85R.").dangerous
    hidden = b"\x80\x04cbuiltins\ngetattr\ncbuiltins\ngetattr\nctorch\nhub\nX\x02\0\0\0os\x86RX\x06\0\0\0system\x86RX\x02\0\0\0ls\x85R."
    assert any("os" in n for n in plain(tmp_path, hidden).dangerous)
    assert plain(tmp_path, b"\x80\x02cos\nsystem\n)R\x85.").dangerous == ("os.system",)
    assert plain(tmp_path, b"\x80\x02(ios\nsystem\n.").dangerous == ("os.system",)
    assert plain(tmp_path, b"\x80\x02(cos\nsystem\nX\x02\0\0\0lso.").dangerous == ("os.system",)
    assert plain(tmp_path, b"\x80\x04\x82\x01.").dangerous


def test_nothing_is_looked_up(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "builtins.__import__",
        lambda *a, **k: pytest.fail(f"import of {a[0]}") if "evil" in str(a[0]) else __real(*a, **k),
    )
    found = plain(tmp_path, b"\x80\x02cevil_module\nRun\n)R.")
    assert found.foreign == ("evil_module.Run",)
    assert not found.dangerous


__real = __import__


@pytest.mark.parametrize(
    "name",
    ["torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "collections.OrderedDict", "numpy._core.multiarray._reconstruct", "builtins.set", "torch.bfloat16", "pathlib.PosixPath", "datetime.datetime",
     "argparse.Namespace", "torch.distributed.checkpoint.metadata.Metadata", "torch.nn.parameter.Parameter", "numpy.dtypes.Float64DType"],
)  # fmt: skip
def test_what_checkpoints_need(name):
    assert needed(name)
    assert not dangerous(name)


@pytest.mark.parametrize(
    "name",
    [
        "__main__.Config",
        "mypackage.models.Net",
        "transformers.training_args.TrainingArguments",
        "torch.nn.modules.linear.Linear",
        "omegaconf.dictconfig.DictConfig",
    ],
)
def test_classes_are_foreign_but_no_danger(name):
    assert not needed(name)
    assert not dangerous(name)


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "__builtin__.eval", "runpy.run_path", "importlib.import_module", "shutil.rmtree", "socket.socket", "pickle.loads",
     "torch.load", "torch.hub.load", "numpy.load", "webbrowser.open", "types.CodeType", "types.FunctionType", "cloudpickle.cloudpickle._make_function", "dill._dill._load_type", "pip.main",
     "numpy.testing._private.utils.runstring", "operator.methodcaller", "(computed name)", "torch.serialization.os.system", "code.interact", "asyncio.run", "torch._inductor.codecache.compile_file"],
)  # fmt: skip
def test_what_can_run_code(name):
    assert dangerous(name)


def test_deep_nesting(tmp_path):
    found = plain(tmp_path, b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".")
    assert any("deep" in p.message for p in found.problems)
    assert plain(tmp_path, b"\x80\x02" + b"(" * 500_000 + b".").problems
    assert plain(tmp_path, b"\x80\x02N" + b"\x85" * 500_000 + b".").problems


def test_shared_lists_that_would_unfold_to_billions(tmp_path):
    data = (
        b"\x80\x02]q\0"
        + b"".join(b"]h" + bytes([i]) + b"ah" + bytes([i]) + b"aq" + bytes([i + 1]) for i in range(100))
        + b"."
    )
    plain(tmp_path, data)
    loop = b"\x80\x02]q\0h\0ah\0ah\0a."
    plain(tmp_path, loop)
    plain(tmp_path, b"\x80\x02}q\0X\x01\0\0\0ah\0sX\x01\0\0\0bh\0s.")


def test_more_operations_than_any_index(tmp_path):
    found = plain(tmp_path, b"\x80\x02" + b"]0" * 600_000 + b"N.")
    assert found.problems
    assert found.usable is not True


def test_huge_lengths_allocate_nothing(tmp_path):
    for op in (b"X", b"B", b"T", b"\x8b"):
        assert plain(tmp_path, b"\x80\x04" + op + b"\xff\xff\xff\x7fabc.").usable is False
    for op in (b"\x8d", b"\x8e", b"\x96"):
        assert plain(tmp_path, b"\x80\x04" + op + b"\xff" * 7 + b"\x7fabc.").usable is False
    assert not plain(tmp_path, b"\x80\x04Nr\xff\xff\xff\xff.").dangerous  # a memo index of four billion
    assert plain(tmp_path, b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN").usable is False
    assert plain(tmp_path, b"\x80\x02I" + b"9" * 200_000 + b"\n.").usable is False


def test_colliding_keys_cost_no_time(tmp_path):
    prime = (1 << 61) - 1
    body = b"".join(b"\x8a\x0c" + (i * prime).to_bytes(12, "little") + b"N" for i in range(1, 60_000))
    plain(tmp_path, b"\x80\x02}(" + body + b"u.")


@pytest.mark.parametrize(
    ("count", "offset", "size", "stride", "says"),
    [
        (4, 0, (1 << 40, 1 << 40), (1, 1), "bytes"), (4, 1 << 50, (1,), (1,), "bytes"), (4, 0, (-1,), (1,), "negative"), (4, 0, (2,), (-1,), "negative"),
        (4, 2, (3,), (1,), "bytes"), (1 << 60, 0, (4,), (1,), "promised"), (4, 0, (2, 2), (1,), "strides"), (5, 0, (4,), (1,), "promised"),
    ],
)  # fmt: skip
def test_absurd_tensors(tmp_path, count, offset, size, stride, says):
    path = torch_zip(tmp_path, tensor_pickle(count, offset, size, stride), {"a/data/0": bytes(16)})
    found = read(path)
    assert found.usable is False
    assert any(says in p.message for p in found.problems), found.problems


def test_expanded_to_a_trillion_elements_is_scanned_once(tmp_path):
    found = read(
        torch_zip(tmp_path, tensor_pickle(4, 0, (1 << 40, 4), (0, 1)), {"a/data/0": struct.pack("<4f", 1, 2, 3, 4)})
    )
    assert found.values.mean[0] == 2.5
    found = read(
        torch_zip(
            tmp_path, tensor_pickle(4, 0, (2, 2, 2), (1, 1, 1)), {"a/data/0": struct.pack("<4f", 1, 2, 3, 4)}, "b.pt"
        )
    )
    assert found.values.scanned[0]


def test_missing_storage(tmp_path):
    assert "missing" in read(torch_zip(tmp_path, tensor_pickle(4, 0, (4,), (1,)))).problems[0].message


def test_zip_bombs(tmp_path):
    path = torch_zip(tmp_path, b"\x80\x02" + b"N0" * 100_000_000, method=zipfile.ZIP_DEFLATED)
    found = read(path)
    assert "unpack" in found.problems[0].message
    assert found.usable is False
    storage = torch_zip(
        tmp_path,
        tensor_pickle(25_000_000, 0, (25_000_000,), (1,)),
        {"a/data/0": bytes(100_000_000)},
        "b.pt",
        zipfile.ZIP_DEFLATED,
    )
    assert "packed" in read(storage).problems[0].message


def test_a_member_that_unpacks_to_more_than_it_says(tmp_path):
    path = torch_zip(tmp_path, b"\x80\x02}." + b" " * 1_000_000, method=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    assert read(path).usable is False


def test_members_that_share_bytes(tmp_path):
    path = torch_zip(tmp_path, tensor_pickle(4, 0, (4,), (1,)), {"a/data/0": bytes(16), "a/data/1": bytes(16)})
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\1\2")
    first = data.rfind(b"PK\1\2", 0, second)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    assert "share" in read(path).problems[0].message


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/../../x", "C:\\x", "..\\x"])
def test_names_that_leave_the_archive(tmp_path, name):
    path = torch_zip(tmp_path, b"\x80\x02}X\x01\0\0\0aK\x01s.", {name: b"x"})
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 2
    found = read(path)
    assert any("leaves the archive" in p.message for p in found.problems)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt"]


def test_big_endian_file(tmp_path):
    path = torch_zip(
        tmp_path, tensor_pickle(4, 0, (4,), (1,)), {"a/data/0": struct.pack(">4f", 1, 2, 3, 4), "a/byteorder": b"big"}
    )
    found = read(path)
    assert (found.values.mean[0], found.values.maximum[0]) == (2.5, 4.0)


def test_half_written_and_filled_with_zeros(tmp_path):
    path = tmp_path / "step_1.pt"
    for data, says in (
        (b"", "zero bytes"),
        (bytes(5000), "all zero"),
        (b"hello world" * 9, "neither"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS"),
    ):
        path.write_bytes(data)
        found = read(path)
        assert says in found.problems[0].message
        assert found.usable is False


def safetensors(tmp_path: Path, header: bytes, data: bytes = b"", length: int | None = None):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return read(path)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}', bytes(4)), (b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b""),
        (b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', bytes(4)), (b'{"w":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        (b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', bytes(4)), (b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(9)),
        (b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)), (b'{"w":{"dtype":"F32","shape":"x","data_offsets":[0,4]}}', bytes(4)),
        (b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}', bytes(6)),
        (b'{"w":7}', b""), (b"[1,2]", b""), (b"{", b""), (b"\xff\xfe", b""), (b'{"w":{"dtype":{},"shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        (b'{"w":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', bytes(4)), (b'{"w":{"dtype":"F32","shape":[1e3],"data_offsets":[0,4]}}', bytes(4)),
    ],
)  # fmt: skip
def test_safetensors_that_lie(tmp_path, header, data):
    found = safetensors(tmp_path, header, data)
    assert found.usable is False
    assert found.problems[0].code == "CKPT102"


def test_safetensors_headers_of_absurd_length(tmp_path):
    for length in (1 << 63, (1 << 64) - 1, 1 << 40, 100):
        assert safetensors(tmp_path, b"{}", length=length).usable is False
    assert safetensors(tmp_path, b"[" * 3_000_000).usable is False
    assert safetensors(tmp_path, b"{" + b",".join(b'"%d":{}' % i for i in range(400_000)) + b"}").usable is False


def test_npz_members(tmp_path):
    def npy(text: str, data: bytes = b"") -> bytes:
        header = text.encode().ljust(118) + b"\n"
        return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data

    path = tmp_path / "weights.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "good.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", struct.pack("<2f", 1, 3))
        )
        archive.writestr(
            "huge.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", bytes(4))
        )
        archive.writestr(
            "code.npy",
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", pickle.dumps(Evil(os.system, "ls"))),
        )
        archive.writestr("expression.npy", npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}"))
        archive.writestr("deep.npy", npy("(" * 110))
        archive.writestr("negative.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", bytes(8)))
    found = read(path)
    assert [(t.name, t.shape) for t in found.tensors] == [("good", (2,))]
    assert found.values.mean[0] == 2.0
    assert len(found.problems) == 5


def test_packed_npz_is_unpacked_while_it_is_scanned(tmp_path):
    path = tmp_path / "weights.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as member:
        member.write(
            b"\x93NUMPY\1\0"
            + struct.pack("<H", 118)
            + b"{'descr': '<f4', 'fortran_order': False, 'shape': (78643200,)}".ljust(117)
            + b"\n"
        )
        for _ in range(300):
            member.write(bytes(1 << 20))
    found = read(path)
    assert path.stat().st_size < 1 << 20
    assert int(found.values.zero[0]) == 78643200


def test_a_file_cut_while_it_is_read(tmp_path, monkeypatch):
    from runvet.checkpoints import window

    path = torch_zip(tmp_path, tensor_pickle(1000, 0, (1000,), (1,)), {"a/data/0": bytes(4000)})

    def shrinking(place: Path):
        return window.Window(io.BytesIO(place.read_bytes()[:1500]), 0, place.stat().st_size)

    monkeypatch.setattr(window.Window, "of", staticmethod(shrinking))
    assert read(path).usable is False


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("attn.mask", True), ("causal_mask", True), ("bn.running_max", True), ("obs.min_val", True), ("neg_inf", True),
     ("mask_token", False), ("info_proj.weight", False), ("bn.running_var", False), ("maskformer.head.weight", False)],
)  # fmt: skip
def test_what_is_infinite_on_purpose(name: str, wanted: bool) -> None:
    assert infinite_on_purpose(name) is wanted
