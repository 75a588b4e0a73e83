"""The corpus of real and damaged artifacts, and the case whose checkpoints are empty."""

from __future__ import annotations

import json

import pytest

from runvet.checkpoints import list_checkpoints, to_json
from shared import shared

NAMES = [
    "hf_trainer",
    "hf_trainer_resumed",
    "hf_trainer_nan",
    "hf_trainer_nan_unfiltered",
    "lightning_run",
    "torch_checkpoints",
    "safetensors_files",
    "dcp",
    "fsdp_empty",
    "peft_lora",
    "accelerate_state",
    "keras_run",
]


def flat(entries):
    for entry in entries:
        yield entry
        yield from flat(entry.get("parts", []))


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_truth(name):
    if name == "keras_run":
        pytest.importorskip("h5py")
    corpus = shared("corpus/artifacts")
    found = {
        e["path"]: e
        for e in flat(to_json(name, list_checkpoints(corpus / name, deep=True, cache=False))["checkpoints"])
    }
    for truth in json.loads((corpus / "truth.json").read_text())[name]["checkpoints"]:
        entry = found[truth["path"]]
        if truth.get("readable") is False:
            assert entry["problems"], truth["path"]
            assert entry["usable"] is False, truth["path"]
            continue
        model = entry["groups"].get("model", {"tensors": 0, "parameters": 0})
        assert (truth["tensors"], truth["parameters"]) in [(e["tensors"], e["parameters"]) for e in (entry, model)], (
            truth["path"]
        )
        assert entry["step"] == truth["step"] or truth["step"] is None, truth["path"]
        if truth["tensors"]:
            assert entry["finite"] is (truth["non_finite"] == 0), truth["path"]
        if truth["empty"]:
            assert [p["rule"] for p in entry["problems"]] == ["CKPT101"], truth["path"]


@pytest.mark.shared
def test_twenty_four_of_twenty_six_are_empty():
    found = list_checkpoints(shared("cases/worlds-dynamics/run"), deep=True, cache=False)
    assert len(found) == 26
    assert [c.step for c in found if c.usable] == [26000, 44000]
    healthy = list_checkpoints(shared("cases/worlds-dynamics-healthy/run"), deep=True, cache=False)
    assert all(c.usable and not c.problems for c in healthy)
    assert len(healthy) == 26


@pytest.mark.shared
def test_samples_and_data_are_no_checkpoints():
    assert list_checkpoints(shared("corpus/artifacts/samples"), cache=False) == []
    for case in ("voxels-sparse", "voxels-floating"):
        assert not [c.path for c in list_checkpoints(shared(f"cases/{case}/run"), cache=False) if c.format == "npz"]
