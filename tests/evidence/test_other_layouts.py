"""Runs that hold the same evidence under other names and in other forms than usual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

import runvet
from runvet.artifacts.grids import grids_of
from runvet.artifacts.onehot import class_axis
from runvet.artifacts.pictures import pictures_of
from runvet.figures.thumbnails import png
from runvet.report import Report


def _tree(seed: int, size: int = 14) -> np.ndarray[tuple[int, int, int], np.dtype[np.int64]]:
    rng = np.random.default_rng(seed)
    grid = np.zeros((size, size, size), np.int64)
    height, x, z = int(rng.integers(5, 10)), int(rng.integers(5, 9)), int(rng.integers(5, 9))
    grid[x, :height, z] = 1
    grid[x - 2 : x + 3, height - 2 : height + 2, z - 2 : z + 3] = 2
    return grid


def _dust(seed: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.int64]]:
    """A tree of which one cell in ten is left."""
    grid = _tree(seed)
    keep = np.random.default_rng(seed).random(grid.shape) < 0.1
    return np.where(keep, grid, 0)


def _codes(report: Report) -> set[str]:
    return {f.rule for f in report.findings}


def _log(folder: Path) -> None:
    lines = [orjson.dumps({"step": s, "loss": 1 / (1 + s / 50)}) for s in range(0, 1000, 10)]
    (folder / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("last", [True, False])
def test_a_channel_a_class_becomes_ids(last: bool) -> None:
    tree = _tree(0)
    hot = (np.arange(3) == tree[..., None]).astype(np.float32)
    soft = np.moveaxis(0.9 * hot + 0.1 / 3, -1, -1 if last else 0)
    assert class_axis(soft) == (3 if last else 0)
    assert np.array_equal(grids_of({"array": soft})[0], tree)
    assert pictures_of({"array": soft}) == []


def test_pictures_are_no_classes() -> None:
    pictures = np.random.default_rng(0).random((6, 16, 16, 3))
    assert class_axis(pictures) is None
    assert len(pictures_of({"array": pictures})) == 6


@pytest.mark.parametrize(("data", "samples"), [("blocks", "samples/step_900"), ("train", "outputs/samples/900")])
@pytest.mark.parametrize("sparse", [True, False])
def test_data_in_a_folder_of_any_name(tmp_path: Path, data: str, samples: str, sparse: bool) -> None:
    _log(tmp_path)
    for folder, many in ((data, 30), (samples, 8)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(many):
            made = _dust(100 + i) if sparse and folder == samples else _tree(i if folder == data else 100 + i)
            np.save(tmp_path / folder / f"item_{i:03d}.npy", made)
    assert ("GEN101" in _codes(runvet.check(tmp_path))) is sparse


@pytest.mark.parametrize("sparse", [True, False])
def test_grids_as_nested_lists(tmp_path: Path, sparse: bool) -> None:
    _log(tmp_path)
    for folder, many in (("data/structures", 30), ("gen/iter_900", 8)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(many):
            made = _dust(100 + i) if sparse and many == 8 else _tree(i + 10 * many)
            (tmp_path / folder / f"tree_{i}.json").write_bytes(orjson.dumps({"blocks": made.tolist()}))
    assert ("GEN101" in _codes(runvet.check(tmp_path))) is sparse


@pytest.mark.parametrize("compressed", [True, False])
def test_predictions_and_truth_in_two_json_files(tmp_path: Path, compressed: bool) -> None:
    _log(tmp_path)
    rng = np.random.default_rng(0)
    true = rng.normal(0, 30, (150, 12, 2))
    pred = 0.1 * true if compressed else true + rng.normal(0, 2, true.shape)
    (tmp_path / "eval").mkdir()
    for name, values in (("pred", pred), ("gt", true)):
        (tmp_path / "eval" / f"{name}.json").write_bytes(orjson.dumps(values.round(3).tolist()))
    assert ("REG101" in _codes(runvet.check(tmp_path))) is compressed


@pytest.mark.parametrize("empty", [True, False])
def test_masks_in_a_table_of_samples(tmp_path: Path, empty: bool) -> None:
    _log(tmp_path)
    rng = np.random.default_rng(0)
    true = rng.uniform(0.03, 0.5, 24)
    pred = np.full(24, 0.01) if empty else true * rng.uniform(0.9, 1.1, 24)
    rows = "".join(f"{i},{p:.4f},{t:.4f}\n" for i, (p, t) in enumerate(zip(pred, true, strict=True)))
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "per_sample.csv").write_text("sample,valid_mean_pred,valid_mean_gt\n" + rows)
    assert ("REG104" in _codes(runvet.check(tmp_path))) is empty


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("name", ["vis/{}_mask/{:03d}.png", "vis/{1:03d}_{0}_mask.png"])
def test_masks_as_pictures(tmp_path: Path, empty: bool, name: str) -> None:
    _log(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(8):
        true = np.zeros((16, 24), np.uint8)
        true[4:12, 3 + i : 14 + i] = 255
        pred = np.full_like(true, 3) if empty else np.where(rng.random(true.shape) < 0.03, 255 - true, true)
        for side, values in (("pred", pred), ("gt", true)):
            path = tmp_path / name.format(side, i)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(values[..., None]))
    assert ("REG104" in _codes(runvet.check(tmp_path))) is empty


def test_a_mask_that_two_readers_see_is_told_once(tmp_path: Path) -> None:
    _log(tmp_path)
    (tmp_path / "eval").mkdir()
    summary = {"pred_mask_mean": 0.01, "gt_mask_mean": 0.33, "lr": 0.1, "epochs": 3}
    (tmp_path / "eval" / "summary.json").write_bytes(orjson.dumps(summary))
    assert [f.rule for f in runvet.check(tmp_path).findings].count("REG104") == 1


def test_a_record_of_the_code_with_nested_keys(tmp_path: Path) -> None:
    _log(tmp_path)
    (tmp_path / "meta").mkdir()
    for i, (folder, commit) in enumerate((("/home/a/net", "a" * 40), ("/mnt/copy/net2", "b" * 40))):
        told = {"start_time": f"2026060{i}", "working_dir": folder, "git": {"commit": commit, "dirty": False}}
        (tmp_path / "meta" / f"run_info_{i}.json").write_bytes(orjson.dumps(told))
    found = next(f for f in runvet.check(tmp_path).findings if f.rule == "ENV101")
    assert found.severity == "critical"
    assert "a" * 10 in found.message
