"""One process: what is saved comes back exactly, and what must not be saved is refused by name."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runvet.checkpoints import (
    CheckpointManager,
    RefusedCheckpoint,
    SaveFailed,
    list_checkpoints,
    load,
    restore,
    save,
    verify,
)
from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.writing import stream as stream_module
from runvet.checkpoints.writing import write as write_module
from runvet.checkpoints.writing.compare import compare


def build() -> tuple[Any, Any, Any]:
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return model, optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6])


def train(model: Any, optimizer: Any, scheduler: Any, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        x = torch.randn(16, 4) + random.random() + float(np.random.rand())
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", ["last.pt", "folder"])
def test_a_resumed_run_goes_on_exactly(name: str, tmp_path: Path) -> None:
    model, optimizer, scheduler = build()
    ema = torch.optim.swa_utils.AveragedModel(model)
    train(model, optimizer, scheduler, 5)
    ema.update_parameters(model)
    made = save(
        tmp_path / name, model=model, optimizer=optimizer, scheduler=scheduler, ema=ema, step=5, epoch=1.5,
        extra={"order": torch.arange(4), "seen": np.int64(3)}, loader=range(10), config={"lr": 1e-2},
    )  # fmt: skip
    assert made is not None
    assert (made.step, made.epoch, made.loader_length, made.world_size) == (5, 1.5, 10, 1)
    on = train(model, optimizer, scheduler, 6)
    model2, optimizer2, scheduler2 = build()
    ema2 = torch.optim.swa_utils.AveragedModel(model2)
    rest = restore(tmp_path / name, model=model2, optimizer=optimizer2, scheduler=scheduler2, ema=ema2)
    assert rest["step"] == 5
    assert rest["extra"]["seen"] == 3
    assert train(model2, optimizer2, scheduler2, 6) == on
    assert all(torch.equal(a, b) for a, b in zip(ema.state_dict().values(), ema2.state_dict().values(), strict=True))
    (found,) = list_checkpoints(tmp_path, deep=True)
    assert found.usable
    assert found.finite
    assert found.step == 5
    assert not found.foreign
    assert sum(t.role == "optimizer" for t in found.tensors) == 18


def test_wrappers_leave_no_trace_in_the_names(tmp_path: Path) -> None:
    plain, _, _ = build()
    names = list(plain.state_dict())
    inner = build()[0]
    inner[0] = torch.compile(inner[0], backend="eager")
    for index, model in enumerate([torch.compile(plain, backend="eager"), torch.nn.DataParallel(plain), inner]):
        save(tmp_path / f"{index}.pt", model=model)
        assert set(load(tmp_path / f"{index}.pt")["model"]) == set(names)
        restore(tmp_path / f"{index}.pt", model=model)
    save(tmp_path / "state.pt", model={f"module._orig_mod.{n}": t for n, t in plain.state_dict().items()})
    assert list(load(tmp_path / "state.pt")["model"]) == names


def test_several_models_and_optimizers(tmp_path: Path) -> None:
    models = {"generator": torch.nn.Linear(3, 3), "critic": torch.nn.Linear(3, 1)}
    optimizers = {n: torch.optim.SGD(m.parameters(), lr=0.1) for n, m in models.items()}
    save(tmp_path / "gan", model=models, optimizer=optimizers)
    before = {n: m.weight.detach().clone() for n, m in models.items()}
    for m in models.values():
        torch.nn.init.zeros_(m.weight)
    restore(tmp_path / "gan", model=models, optimizer=optimizers)
    assert all(torch.equal(m.weight, before[n]) for n, m in models.items())


KINDS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool, torch.complex64,
    torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_type_layout_and_size(kind: torch.dtype, tmp_path: Path) -> None:
    base = torch.randn(6, 5).to(kind)
    state = {
        "a": base,
        "column": base[:, 1],
        "t": base.t(),
        "scalar": base[0, 0],
        "wide": base[:1].expand(3, 5),
        "tied": base,
    }
    save(tmp_path / "x.pt", model=state)
    got = load(tmp_path / "x.pt")["model"]
    for name, tensor in state.items():
        assert got[name].dtype == kind
        assert got[name].shape == tensor.shape
        assert got[name].contiguous().view(-1).view(torch.uint8).equal(tensor.contiguous().view(-1).view(torch.uint8))


def test_a_view_does_not_drag_its_storage_along(tmp_path: Path) -> None:
    save(tmp_path / "x.pt", model={"part": torch.zeros(1_000_000)[:10]}, rng=False)
    assert (tmp_path / "x.pt").stat().st_size < 5000


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({}, ()),
        ({"a": torch.tensor([1.0, float("nan")]), "b": torch.ones(2)}, ("model.a",)),
        ({"a": torch.tensor([float("inf")], dtype=torch.bfloat16)}, ("model.a",)),
        ({"a": torch.tensor([float("-inf"), float("inf")], dtype=torch.float64)}, ("model.a",)),
        ({"a": torch.ones(0), "b": torch.ones(0), "c": torch.ones(1)}, ("a", "b")),
    ],
)
@pytest.mark.parametrize("background", [False, True])
def test_refusals_keep_what_was_there(state: Any, named: tuple[str, ...], background: bool, tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path, background=background)
    good = manager.save(step=1, model={"a": torch.ones(2)})

    def put() -> None:
        manager.save(step=2, model=state, allow_changes=True)
        manager.wait()

    with pytest.raises(RefusedCheckpoint) as error:
        put()
    assert error.value.tensors == named
    assert all(n in str(error.value) for n in named)
    assert manager.trusted() == manager.latest() == good
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    manager.close()


def test_infinite_masks_and_allowed_names_pass(tmp_path: Path) -> None:
    state = {"attn_mask": torch.tensor([0.0, float("-inf")]), "odd.table": torch.tensor([float("nan")])}
    save(tmp_path / "x.pt", model=state, allow_non_finite=["*.table"])
    with pytest.raises(RefusedCheckpoint, match=r"odd\.table"):
        save(tmp_path / "x.pt", model=state)
    assert verify(tmp_path / "x.pt") == []


def test_a_module_that_gives_less_than_it_has(tmp_path: Path) -> None:
    class Forgetful(torch.nn.Linear):
        def state_dict(self, *args: Any, **options: Any) -> Any:
            state = super().state_dict(*args, **options)
            state.pop("bias")
            return state

    with pytest.raises((RefusedCheckpoint, RuntimeError), match="bias"):
        save(tmp_path / "x.pt", model=Forgetful(2, 2))
    assert list(tmp_path.iterdir()) == []


def test_tensors_lost_since_the_checkpoint_before(tmp_path: Path) -> None:
    CheckpointManager(tmp_path).save(step=1, model={"a": torch.ones(2), "b": torch.ones(2)})
    again = CheckpointManager(tmp_path)  # what was there is read statically
    with pytest.raises(RefusedCheckpoint, match=r"missing: model\.b") as error:
        again.save(step=2, model={"a": torch.ones(2)})
    assert error.value.tensors == ("model.b",)
    again.save(step=2, model={"a": torch.ones(2)}, allow_changes=True)
    again.save(step=3, model={"a": torch.ones(2)})


@pytest.mark.parametrize("value", [print, object(), {"deep": [lambda: 0]}, torch.nn.Linear(1, 1).forward])
def test_what_only_unpickling_brings_back(value: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"extra\.bad.* loads only by running code"):
        save(tmp_path / "x.pt", model={"a": torch.ones(1)}, extra={"bad": value})
    assert list(tmp_path.iterdir()) == []


def test_plain_values_come_back(tmp_path: Path) -> None:
    extra = {"c": Counter({3: 2}), "t": (1, "x", None), "n": {1: {"y": [True, 2.5]}}, "s": {1, 2}, "b": b"raw", "e": []}
    save(tmp_path / "x", model={"a": torch.ones(1)}, extra=extra)
    assert load(tmp_path / "x")["extra"] == extra


def test_an_optimizer_of_another_model(tmp_path: Path) -> None:
    model, optimizer, _ = build()
    save(tmp_path / "x", model=model, optimizer=optimizer)
    with pytest.raises(ValueError, match="other parameters"):
        restore(tmp_path / "x", optimizer=torch.optim.AdamW(torch.nn.Linear(1, 1).parameters()))
    with pytest.raises(KeyError, match="no ema state"):
        restore(tmp_path / "x", ema=model)


def test_other_bytes_on_the_disk_are_found(tmp_path: Path) -> None:
    state = {"model": {"a": torch.arange(1000.0), "b": torch.ones(3)}}
    torch.save(state, tmp_path / "x.pt")
    assert compare(tmp_path / "x.pt", state) == (2, 1003)
    data = bytearray((tmp_path / "x.pt").read_bytes())
    at = data.find(torch.arange(1000.0).numpy().tobytes()[400:440])
    data[at] ^= 1
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(SaveFailed, match=r"model\.a has other values"):
        compare(tmp_path / "x.pt", state)
    for other in ({"a": torch.ones(3)}, {"a": torch.arange(1000), "b": torch.ones(3)}):
        with pytest.raises(SaveFailed, match="is not what was written"):
            compare(tmp_path / "x.pt", {"model": other})


def test_a_disk_that_lies_is_caught_before_anything_is_replaced(tmp_path: Path, monkeypatch: Any) -> None:
    manager = CheckpointManager(tmp_path)
    good = manager.save(step=1, model={"a": torch.ones(5000)})

    class Lossy(write_module.HashedFile):
        def write(self, data: Any) -> int:
            view = memoryview(data).cast("B")
            return super().write(bytes(len(view)) if len(view) == 20000 else view)

    monkeypatch.setattr(write_module, "HashedFile", Lossy)
    with pytest.raises(SaveFailed, match=r"other values|checksum"):
        manager.save(step=2, model={"a": torch.ones(5000)})
    assert manager.trusted() == good
    assert [p.name for p in tmp_path.iterdir()] == [good.name]


@pytest.mark.parametrize("large", [False, True])
def test_what_was_read_back_differently_is_found_in_the_stream(large: bool, tmp_path: Path, monkeypatch: Any) -> None:
    """One flipped byte of one tensor, in the first of two names of the same memory, and views into one storage."""
    size = 3_000_000 if large else 50
    base = torch.arange(float(size))
    state = {"a": base, "tied": base, "view": base[size // 2 :], "other": torch.ones(7)}

    class Flipping(write_module.HashedFile):
        def write(self, data: Any) -> int:
            written = super().write(data)
            if len(data) == 4 * size:
                with (tmp_path / next(p.name for p in tmp_path.glob(".x.pt.*"))).open("r+b") as file:
                    file.seek(self.size - 5)
                    file.write(b"\x55")
            return written

    save(tmp_path / "x.pt", model=state)
    before = (tmp_path / "x.pt").read_bytes()
    monkeypatch.setattr(write_module, "HashedFile", Flipping)
    with pytest.raises(SaveFailed, match=r"other values|checksum"):
        save(tmp_path / "x.pt", model=state)
    assert (tmp_path / "x.pt").read_bytes() == before
    assert verify(tmp_path / "x.pt") == []


def test_bytes_compared_while_they_are_written_are_not_read_twice(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stream_module, "BLOCK", 1 << 16)
    monkeypatch.setattr(stream_module, "BEHIND", 1 << 40)
    state = {"a": torch.arange(300_000.0), "b": torch.ones(100_000)}
    compact = write_module.compact(state)
    with write_module.HashedFile(tmp_path / "x.pt", write_module.storages(compact)) as file:
        torch.save(compact, file)
        end = time.monotonic() + 20
        while file.size - file._read >= 1 << 16 and time.monotonic() < end:
            time.sleep(0.01)
        assert file.hashed() == manifests.hashed(tmp_path / "x.pt")[1]
        start = (tmp_path / "x.pt").read_bytes().find(state["a"].numpy().tobytes())
        memory = compact["a"].numpy().view(np.uint8)
        assert file.same(start, memory)
        assert file.same(start + 400, memory[400:900])
        assert not file.same(start + 4, memory)
        assert not file.same(start, memory.copy())
        assert not file.same(0, memory)


def test_structure_only_is_found_out_later(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path, verify="structure", keep_last=None)
    torch.serialization.set_crc32_options(False)  # a program that does without
    try:
        places = [manager.save(step=s, model={"a": torch.full((5000,), float(s))}) for s in (1, 2, 3)]
        assert torch.serialization.get_crc32_options() is False
    finally:
        torch.serialization.set_crc32_options(True)
    assert [f.sha256 for f in manifests.read(places[0] / manifests.NAME).files] == [""]
    assert verify(tmp_path) == []
    assert manager.trusted() == places[2]
    for place, part in ((places[2], torch.full((9,), 3.0).numpy().tobytes()), (places[1], b"model")):
        data = bytearray((place / "state.pt").read_bytes())
        data[data.find(part) + 2] ^= 1
        (place / "state.pt").write_bytes(data)
        assert [p.name for p in verify(place)] == ["damaged-checkpoint"]
        with pytest.raises(SaveFailed, match="not what was written"):
            load(place)
    assert manager.trusted() == places[0]
    assert manager.load()["step"] == 1
    with pytest.raises(RefusedCheckpoint, match="NaN"):
        manager.save(step=4, model={"a": torch.full((5000,), float("nan"))})
    with pytest.raises(ValueError, match="'bytes' or 'structure'"):
        CheckpointManager(tmp_path, verify="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sharded"):
        save(tmp_path / "s", model={"a": torch.ones(3)}, sharded=True, verify="structure")


def test_trusted_goes_back_to_the_newest_whole_one(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path)
    places = [manager.save(step=s, model={"a": torch.full((100,), float(s))}) for s in (1, 2, 3)]
    file = places[2] / "state.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    (places[1] / manifests.NAME).write_bytes(b"{")
    assert manager.latest() == places[2]
    assert manager.trusted() == places[0]
    assert manager.load()["step"] == 1
    with pytest.raises(SaveFailed, match="not what was written"):
        load(places[2])
    assert len(verify(tmp_path)) == 2


def test_retention_in_a_folder(tmp_path: Path) -> None:
    manager = CheckpointManager(tmp_path, keep_last=2, keep_every=4, best=("val", "down"))
    for step, value in enumerate([9, 8, 1, 7, 6, 5, float("nan"), 4, 3]):
        manager.save(step=step, model={"a": torch.ones(1)}, metrics={"val": value})
    assert sorted(int(p.name[5:]) for p in tmp_path.iterdir()) == [0, 2, 4, 7, 8]
    assert manager.best() == tmp_path / "step-00000002"
    manager.restore(tmp_path / "step-00000004", model=None)
    back = manager.save(step=5, model={"a": torch.ones(1)})  # after going back: lower, and still the newest
    assert manager.latest() == back


def test_import_needs_no_torch_and_its_absence_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import runvet.checkpoints as c\n"
        "try: c.CheckpointManager('x')\n"
        "except c.MissingTorch as e: print(e)\n"
        "try: c.save('x.pt')\n"
        "except ImportError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (
        done.stdout.splitlines()
        == ["writing checkpoints needs torch; install it with: pip install 'runvet[torch]'"] * 2
    )
    code = "import runvet.checkpoints, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("lying", ["nothing", "plain", "saved"])
def test_a_rename_that_fails_leaves_what_was_there(lying: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    old = {"model": {"w": torch.ones(3)}}
    if lying == "plain":
        torch.save(old, path)
    elif lying == "saved":
        save(path, model=old["model"], step=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_module.atomic, "commit_file", full)
    with pytest.raises(SaveFailed):
        save(path, model={"w": torch.zeros(500)}, step=2)
    monkeypatch.undo()
    if lying == "nothing":
        assert list(tmp_path.iterdir()) == []
    else:
        assert load(path)["model"]["w"].tolist() == [1, 1, 1]
    save(path, model={"w": torch.zeros(5)}, step=3)
    assert verify(path) == []
    assert load(path)["model"]["w"].tolist() == [0] * 5
