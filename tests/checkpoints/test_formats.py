"""safetensors, npz, npy, HDF5, nested zips and Orbax, against the libraries that write them."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from runvet.checkpoints import list_checkpoints, to_json
from runvet.checkpoints.formats import read_file


def read(path: Path, deep: bool = True):
    return read_file(path, path.name, None, deep=deep)


def test_safetensors_against_the_library(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    arrays = {
        "a.weight": np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32),
        "b": np.arange(5),
        "half": np.array([1, np.nan], np.float16),
        "none": np.zeros((0, 3)),
        "ema.a": np.ones(2),
    }
    library.save_file(arrays, tmp_path / "model.safetensors", metadata={"step": "30", "format": "pt"})
    found = read(tmp_path / "model.safetensors")
    shapes = {t.name: (t.shape, t.dtype) for t in found.tensors}
    assert shapes == {k: (v.shape, v.dtype.name) for k, v in arrays.items()}
    assert found.step == 30
    assert found.groups["ema"].tensors == 1
    mean = dict(zip((t.name for t in found.tensors), found.values.mean, strict=True))
    assert np.isclose(mean["a.weight"], arrays["a.weight"].mean(dtype=np.float64), atol=1e-7)
    assert found.finite is False


def test_npy_orders_and_bytes(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    for name, value in {
        "c": array,
        "fortran": np.asfortranarray(array),
        "big": array.astype(">f8"),
        "half": array.astype(">f2"),
        "scalar": np.float32(3),
    }.items():
        np.save(tmp_path / f"weights_{name}.npy", value)
        found = read(tmp_path / f"weights_{name}.npy")
        assert found.tensors[0].shape == np.shape(value)
        assert found.values.mean[0] == np.mean(value)
        assert found.values.maximum[0] == np.max(value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(
        tmp_path / "params_step_40.npz",
        **{"layer/w": np.ones((4, 5)), "layer/b": np.array([0.0, np.inf]), "name": np.array("text")},
    )
    (found,) = list_checkpoints(tmp_path, deep=True, cache=False)
    assert (found.step, len(found.tensors), found.finite) == (40, 2, False)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "weights_03.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.random.default_rng(0).normal(size=(1000, 300)).astype(np.float32)
        file.create_dataset("layers/dense/vars/1", data=np.zeros(300, np.float32), chunks=(100,), compression="gzip")
        file["optimizer/vars/0"] = np.int64(12)
        file["layers/outside"] = h5py.ExternalLink("/etc/passwd", "/")
        file["layers/soft"] = h5py.SoftLink("/layers/dense")
    found = read(path)
    assert [(t.name, t.role) for t in found.tensors] == [
        ("layers.dense.vars.0", "model"),
        ("layers.dense.vars.1", "model"),
        ("optimizer.vars.0", "optimizer"),
    ]
    assert found.values.zero[1] == 300
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.write(path, "model.weights.h5")
        archive.writestr("config.json", "{}")
    inside = read(tmp_path / "model.keras")
    assert inside.values.digest == found.values.digest
    path.write_bytes(path.read_bytes()[:3000])
    assert read(path).usable is False


def test_hdf5_without_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "model.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (found,) = list_checkpoints(tmp_path, cache=False)
    assert found.usable is None
    assert "pip install 'runvet[hdf5]'" in found.problems[0].message


def test_zip_of_torch_files(tmp_path):
    torch = pytest.importorskip("torch")
    for name in ("policy", "policy.optimizer"):
        torch.save({"w": torch.ones(3)}, tmp_path / f"{name}.pth")
    with zipfile.ZipFile(tmp_path / "rl_model_5000_steps.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("policy", "policy.optimizer"):
            archive.write(tmp_path / f"{name}.pth", f"{name}.pth")
            (tmp_path / f"{name}.pth").unlink()
        archive.writestr("_stable_baselines3_version", "2.0")
    with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
        archive.writestr("log.txt", "loss")
    (found,) = list_checkpoints(tmp_path, deep=True, cache=False)
    assert (found.step, found.kind, len(found.tensors), found.groups["optimizer"].tensors) == (
        5000,
        "stable-baselines3",
        2,
        1,
    )


def test_contract(tmp_path):
    np.savez(tmp_path / "model_step_7.npz", w=np.ones(3))
    entry = to_json(tmp_path, list_checkpoints(tmp_path, deep=True, cache=False))["checkpoints"][0]
    assert entry["path"] == "model_step_7.npz"
    assert {k: entry[k] for k in ("step", "epoch", "format", "tensors", "parameters", "dtypes", "finite", "groups", "usable", "problems")} == {
        "step": 7, "epoch": None, "format": "npz", "tensors": 1, "parameters": 3, "dtypes": {"float64": 1}, "finite": True,
        "groups": {"model": {"tensors": 1, "parameters": 3}}, "usable": True, "problems": [],
    }  # fmt: skip
