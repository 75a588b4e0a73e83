"""Real files written by torch: everything it can say about a tensor must be read without it."""

from __future__ import annotations

import collections
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from runvet.checkpoints import list_checkpoints
from runvet.checkpoints.formats import read_file

torch = pytest.importorskip("torch")

FLOATS = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
]
WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32]


def read(path: Path, deep: bool = True):
    return read_file(path, path.name, None, deep=deep)


def saved(value, path: Path, legacy: bool = False):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return read(path)


def rows(checkpoint):
    v = checkpoint.values
    return {
        t.name: (
            t,
            dict(zip(("scanned", "non_finite", "zero", "mean", "std", "min", "max", "digest"), row, strict=True)),
        )
        for t, *row in zip(
            checkpoint.tensors,
            v.scanned,
            v.non_finite,
            v.zero,
            v.mean,
            v.std,
            v.minimum,
            v.maximum,
            v.digest,
            strict=True,
        )
    }


def agrees(row, tensor):
    """The scan of a tensor against torch's own figures in double precision."""
    values = tensor.to(torch.float64).flatten()
    finite = values[torch.isfinite(values)]
    assert row["scanned"]
    assert row["non_finite"] == len(values) - len(finite)
    assert row["zero"] == int((values == 0).sum())
    if len(finite):
        scale = float(finite.abs().max()) + 1e-30
        assert row["min"] == float(finite.min())
        assert row["max"] == float(finite.max())
        assert math.isclose(row["mean"], float(finite.mean()), abs_tol=2e-6 * scale)
        assert math.isclose(row["std"], float(finite.std(unbiased=False)), rel_tol=1e-4, abs_tol=1e-6 * scale)
    else:
        assert math.isnan(row["mean"])


UNTYPED = (torch.uint16, torch.uint32, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)  # no storage in the old layout


@pytest.mark.parametrize(
    ("kind", "legacy"),
    [(k, legacy) for legacy in (False, True) for k in (*FLOATS, *WHOLE) if not (legacy and k in UNTYPED)],
    ids=str,
)
def test_every_dtype(tmp_path, kind, legacy):
    generator = torch.Generator().manual_seed(3)
    tensor = (torch.randn(37, 11, generator=generator) * 3).abs().to(kind)
    checkpoint = saved({"w": tensor}, tmp_path / "a.pt", legacy)
    (found, row) = rows(checkpoint)["w"]
    assert found.shape == (37, 11)
    assert found.dtype == str(kind).removeprefix("torch.")
    assert not checkpoint.problems
    agrees(row, tensor)


@pytest.mark.parametrize("kind", FLOATS[4:], ids=str)
def test_every_bit_pattern_of_float8(tmp_path, kind):
    tensor = torch.arange(256, dtype=torch.uint8).view(kind)
    (_, row) = rows(saved({"w": tensor}, tmp_path / "a.pt"))["w"]
    agrees(row, tensor)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
def test_every_bit_pattern_of_16_bits(tmp_path, kind):
    tensor = torch.arange(65536, dtype=torch.int32).to(torch.uint16).view(kind)
    (_, row) = rows(saved({"w": tensor}, tmp_path / "a.pt"))["w"]
    agrees(row, tensor)


def test_complex(tmp_path):
    tensor = torch.tensor([1 + 2j, 0j, complex("nan")], dtype=torch.complex64)
    (found, row) = rows(saved({"w": tensor}, tmp_path / "a.pt"))["w"]
    assert found.dtype == "complex64"
    assert (row["non_finite"], row["zero"], row["max"]) == (1, 1, 2.0)


@pytest.mark.parametrize("legacy", [False, True])
def test_views_transposed_expanded_and_sliced(tmp_path, legacy):
    base = torch.randn(300, 200, generator=torch.Generator().manual_seed(1))
    views = {
        "whole": base,
        "transposed": base.T,
        "rows": base[10:20],
        "columns": base[:, 5:9],
        "every_third": base[::3, ::7],
        "expanded": base[:1].expand(50, 200),
        "permuted": base.reshape(10, 30, 200).permute(2, 0, 1),
        "scalar": base[3, 4],
        "none": base[:0],
        "windows": base[0].unfold(0, 4, 1),
    }
    found = rows(saved(views, tmp_path / "a.pt", legacy))
    for name, view in views.items():
        tensor, row = found[name]
        assert tensor.shape == tuple(view.shape)
        if name != "windows":  # overlapping: its range is scanned once
            agrees(row, view)
    assert found["columns"][0].layout == "view"
    assert found["whole"][0].layout == "dense"


def test_a_strided_view_larger_than_the_buffer(tmp_path):
    base = torch.arange(3_000_000, dtype=torch.float32).reshape(3000, 1000)
    view = base[:, :3]
    (_, row) = rows(saved({"v": view, "t": base[1:, 1:].T}, tmp_path / "a.pt"))["v"]
    agrees(row, view)
    (_, row) = rows(read(tmp_path / "a.pt"))["t"]
    agrees(row, base[1:, 1:].T)


def test_tied_tensors_count_under_each_name(tmp_path):
    weight = torch.randn(10, 4)
    checkpoint = saved({"model": {"embed": weight, "head": weight}}, tmp_path / "a.pt")
    assert [t.name for t in checkpoint.tensors] == ["model.embed", "model.head"]
    assert checkpoint.parameters == 80
    assert checkpoint.values.digest[0] == checkpoint.values.digest[1]


def test_digest_follows_values(tmp_path):
    a = torch.randn(1000, 30)
    b = a.clone()
    b[700, 7] += 1e-6
    swapped = a.clone()
    swapped[[0, 1]] = swapped[[1, 0]]
    first = saved({"w": a}, tmp_path / "a.pt").values.digest[0]
    assert saved({"x": 1, "w": a.clone()}, tmp_path / "b.pt").values.digest[0] == first
    assert saved({"w": b}, tmp_path / "c.pt").values.digest[0] != first
    assert saved({"w": swapped}, tmp_path / "d.pt").values.digest[0] != first
    assert saved({"w": a.reshape(30, 1000)}, tmp_path / "e.pt").values.digest[0] != first


def test_training_state(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    state = {
        "model": model.state_dict(), "ema_state_dict": collections.OrderedDict(model.state_dict()), "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(), "step": 1200, "epoch": 3, "config": {"width": 8, "names": ["a", "b"], "api_key": "abcdefghijklmnop123"},
        "rng_state": torch.get_rng_state(), "numpy_rng": np.random.RandomState(3).get_state(),
    }  # fmt: skip
    checkpoint = saved(state, tmp_path / "a.pt")
    assert (checkpoint.step, checkpoint.epoch) == (1200, 3)
    assert checkpoint.groups["model"].tensors == len(model.state_dict())
    assert checkpoint.groups["ema"].parameters == sum(v.numel() for v in model.state_dict().values())
    assert checkpoint.groups["optimizer"].tensors == 3 * len(list(model.parameters()))
    assert checkpoint.plain["optimizer.param_groups.0.lr"] == 3e-4
    assert checkpoint.plain["config.width"] == 8
    assert "abcdefgh" not in str(checkpoint.plain)
    assert not checkpoint.problems
    assert not checkpoint.dangerous


def test_parameters_lists_and_buffers(tmp_path):
    checkpoint = saved(
        [torch.nn.Parameter(torch.ones(3)), {"b": torch.nn.Buffer(torch.zeros(2))}, (torch.ones(()),)],
        tmp_path / "a.pt",
    )
    assert [(t.name, t.shape) for t in checkpoint.tensors] == [("0", (3,)), ("1.b", (2,)), ("2.0", ())]


def test_whole_module_and_optimizer_objects(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sequential(torch.nn.BatchNorm1d(4)))
    checkpoint = saved(model, tmp_path / "a.pt")
    assert [t.name for t in checkpoint.tensors] == list(model.state_dict())
    assert "torch.nn.modules.linear.Linear" in checkpoint.foreign
    assert not checkpoint.dangerous


@pytest.mark.filterwarnings("ignore")
def test_sparse_and_quantized(tmp_path):
    coo = torch.sparse_coo_tensor([[0, 1], [1, 2]], torch.tensor([3.0, 4.0]), (4, 5))
    csr = torch.eye(6).to_sparse_csr()
    quantized = torch.quantize_per_tensor(torch.randn(4, 4), 0.1, 0, torch.qint8)
    found = rows(saved({"coo": coo, "csr": csr, "q": quantized}, tmp_path / "a.pt"))
    assert (found["coo"][0].shape, found["coo"][0].layout, found["coo"][1]["zero"]) == ((4, 5), "sparse", 18)
    assert math.isclose(found["coo"][1]["mean"], 7 / 20)
    assert found["csr"][1]["zero"] == 30
    assert (found["q"][0].dtype, found["q"][0].layout) == ("qint8", "quantized")
    assert found["q"][1]["min"] == float(quantized.int_repr().min())


def test_meta_tensors_have_no_values(tmp_path):
    checkpoint = saved({"a": torch.empty(3, device="meta"), "b": torch.ones(2)}, tmp_path / "a.pt")
    assert [t.layout for t in checkpoint.tensors] == ["unstored", "dense"]
    assert list(checkpoint.values.scanned) == [False, True]
    assert checkpoint.finite is True


def test_plain_pickle_of_tensors_and_arrays(tmp_path):
    path = tmp_path / "model.pkl"
    tensor = torch.randn(5, 6)
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    for protocol in range(6):
        path.write_bytes(pickle.dumps({"t": tensor, "array": array, "step": 7}, protocol))
        checkpoint = read(path)
        assert checkpoint.step == 7
        found = rows(checkpoint)
        agrees(found["t"][1], tensor)
        assert found["array"][0].shape == (3, 4)
        assert found["array"][1]["mean"] == array.mean()


def test_several_pickled_tensors_are_told_apart(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([torch.full((3,), float(i)) for i in range(4)]))
    assert list(read(path).values.mean) == [0.0, 1.0, 2.0, 3.0]


def test_large_numpy_array_stays_in_the_file(tmp_path):
    array = np.random.default_rng(0).normal(size=200_000)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": array}, 5))
    (_, row) = rows(read(path))["a"]
    assert math.isclose(row["mean"], array.mean(), rel_tol=1e-9)


@pytest.mark.parametrize(
    "state",
    [
        {"model": {}, "optimizer": {}, "step": 10},
        {},
        collections.OrderedDict(),
        {"state_dict": collections.OrderedDict(), "epoch": 1},
    ],
)
def test_empty_saves(tmp_path, state):
    checkpoint = saved(state, tmp_path / "step_10.pt")
    assert [p.code for p in checkpoint.problems] == ["CKPT101"]
    assert checkpoint.usable is False


def test_empty_model_beside_a_full_optimizer(tmp_path):
    checkpoint = saved({"model": {}, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, tmp_path / "a.pt")
    assert [p.name for p in checkpoint.problems] == ["empty-checkpoint"]


def test_size_zero_tensors(tmp_path):
    checkpoint = saved({f"l{i}": torch.empty(0) for i in range(4)}, tmp_path / "a.pt")
    assert "4 of 4 tensors have size 0" in checkpoint.problems[0].message


def test_non_finite_but_for_masks_and_callbacks(tmp_path):
    checkpoint = saved({"w": torch.ones(3), "attn_mask": torch.tensor([0.0, -math.inf])}, tmp_path / "a.pt")
    assert checkpoint.finite is False
    assert not checkpoint.problems
    checkpoint = saved(
        {"state_dict": {"w": torch.ones(3)}, "callbacks": {"best": torch.tensor(math.inf)}}, tmp_path / "b.pt"
    )
    assert checkpoint.finite is True
    checkpoint = saved({"w": torch.tensor([1.0, math.nan, -math.inf])}, tmp_path / "c.pt")
    assert [(p.code, p.message[:6]) for p in checkpoint.problems] == [("CKPT104", "2 of 3")]


def test_overflowing_sums_are_finite(tmp_path):
    tensor = torch.full((100,), 3e38)
    (_, row) = rows(saved({"w": tensor}, tmp_path / "a.pt"))["w"]
    assert row["non_finite"] == 0
    assert math.isclose(row["mean"], 3e38, rel_tol=1e-6)


def test_flipped_bytes_are_seen_by_the_checksum(tmp_path):
    path = tmp_path / "a.pt"
    saved({"w": torch.zeros(5000)}, path)
    data = bytearray(path.read_bytes())
    at = data.find(b"\0" * 20000) + 10000
    data[at] = 1
    path.write_bytes(data)
    assert any("checksum" in p.message for p in read(path).problems)


def test_truncated_at_every_length(tmp_path):
    path = tmp_path / "a.pt"
    for legacy in (False, True):
        torch.save({"w": torch.ones(50), "step": 4}, path, _use_new_zipfile_serialization=not legacy)
        data = path.read_bytes()
        for length in range(0, len(data) - 1, 37):
            path.write_bytes(data[:length])
            found = read(path)
            assert found.usable is False, length
            assert any(p.name == "damaged-checkpoint" for p in found.problems)


def test_thousands_of_storages(tmp_path):
    state = {f"layer.{i}.weight": torch.full((2,), float(i)) for i in range(5000)}
    checkpoint = saved(state, tmp_path / "a.pt")
    assert len(checkpoint.tensors) == 5000
    assert checkpoint.values.mean[4321] == 4321.0


@pytest.mark.filterwarnings("ignore")
def test_distributed_folder_against_torch(tmp_path):
    dcp = pytest.importorskip("torch.distributed.checkpoint")
    state = {"model": {"w": torch.randn(20, 3), "h": torch.ones(4, dtype=torch.bfloat16)}, "step": 12, "lr": 0.5}
    folder = tmp_path / "run" / "step_12"
    dcp.save(state, storage_writer=dcp.FileSystemWriter(folder), no_dist=True)
    (found,) = list_checkpoints(tmp_path / "run", deep=True, cache=False)
    assert (found.path, found.step, found.plain["lr"], found.finite) == ("step_12", 12, 0.5, True)
    agrees(rows(found)["model.w"][1], state["model"]["w"])
    block = next(folder.glob("*.distcp"))
    block.write_bytes(block.read_bytes()[:-100])
    (found,) = list_checkpoints(tmp_path / "run", deep=True, cache=False)
    assert "cut off" in found.problems[0].message
    block.unlink()
    (found,) = list_checkpoints(tmp_path / "run", cache=False)
    assert found.problems[0].code == "CKPT103"
    (folder / ".metadata").unlink()
    block.write_bytes(b"x")
    (found,) = list_checkpoints(tmp_path / "run", cache=False)
    assert ".metadata is missing" in found.problems[0].message


def test_changes_between_two_files(tmp_path):
    from runvet.checkpoints import list_checkpoints
    from runvet.checkpoints.difference import changes

    a = {
        "w": torch.randn(700, 900),
        "same": torch.ones(5, dtype=torch.bfloat16),
        "gone": torch.ones(2),
        "t": torch.randn(6, 4).T,
    }
    b = {"w": a["w"] * 1.01, "same": a["same"], "new": torch.ones(2), "t": a["t"] + 1}
    saved(a, tmp_path / "a.pt")
    saved(b, tmp_path / "b.pt")
    first, second = list_checkpoints(tmp_path, cache=False)
    found = {c.name: c for c in changes(tmp_path, first, second)}
    assert list(found) == ["w", "same", "t"]
    assert math.isclose(found["w"].relative, 0.01, rel_tol=1e-4)
    assert found["same"].relative == 0
    assert math.isclose(found["t"].relative, float(torch.norm(b["t"] - a["t"]) / torch.norm(a["t"])), rel_tol=1e-5)


def test_memory_does_not_follow_the_size(tmp_path):
    import tracemalloc

    path = tmp_path / "a.pt"
    torch.save({"a": torch.randn(20_000_000), "b": torch.randn(4000, 5000)[:, ::2]}, path)
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.finite
    assert path.stat().st_size > 150_000_000
    assert peak < 40 << 20
