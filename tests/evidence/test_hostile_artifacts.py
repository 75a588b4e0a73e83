"""Odd and damaged artifacts never crash a rule, and cost neither time nor memory without bound."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import runvet
from runvet import engine, examples
from runvet.artifacts.memory import in_memory

RULES = [r for r in engine.collect() if r.family in ("GEN", "REG", "DATA", "PAR") or r.code == "ENV111"]
KINDS = st.sampled_from(
    [np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, np.bool_, np.complex64, np.uint64]
)
ARRAYS = hnp.arrays(KINDS, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=9))
NAMES = st.sampled_from(
    ["pred", "gt", "voxels", "image", "x", "y", "mask", "pred_mask", "gt_mask", "trajectory", "labels"]
)
PLACES = st.sampled_from(
    [
        "samples/step_1",
        "samples/step_20",
        "data/train",
        "data/val",
        "dataset",
        "predictions",
        "parity/train_preds",
        "parity/inference_preds",
        "vis/step_3",
    ]
)
FILES = st.dictionaries(
    st.tuples(PLACES, st.integers(0, 40)), st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=3), max_size=12
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@given(FILES)
def test_no_rule_crashes_on_any_arrays(files: dict) -> None:
    named = {f"{place}/{number}.{'png' if 'image' in held else 'npz'}": held for (place, number), held in files.items()}
    stage = examples.stage(loss=examples.decay(50), val_accuracy=np.linspace(0, 1, 9))
    run = examples.run(stage, files=named or {"a.npz": {"x": np.ones(1)}})
    assert not [(o.rule.code, o.why) for o in engine.judge(run, rules=RULES) if o.state == "crashed"]


@pytest.mark.parametrize("count", [3, 24])
def test_the_same_shape_everywhere(count: int) -> None:
    """Few and many files of odd but equal content, where rules get far into their comparisons."""
    rng = np.random.default_rng(0)
    kinds = {
        "nan": np.full((6, 6, 6), np.nan),
        "huge": np.full((30, 3), 1e300),
        "inf": np.where(rng.random((30, 3)) < 0.5, np.inf, 1.0),
        "one": np.ones((1, 1, 1), np.uint8),
        "flat": np.zeros((12, 12, 12), np.int64),
        "wide": rng.integers(-(2**62), 2**62, (8, 8, 8)),
        "objects": np.array([{"a": 1}], dtype=object),
        "text": np.array(["a", "b"]),
        "records": np.zeros(4, dtype=[("a", "f4"), ("b", "i4")]),
    }
    for name, array in kinds.items():
        files = {
            f"{place}/{i}.npz": {"pred": array, "gt": array, "voxels": array}
            for place in ("data/train", "data/val", "samples/step_5", "predictions")
            for i in range(count)
        }
        run = examples.run(examples.stage(loss=examples.decay(50)), files=files)
        assert not [(name, o.rule.code, o.why) for o in engine.judge(run, rules=RULES) if o.state == "crashed"]


def test_damaged_files_on_disk(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("".join(f"step {i} loss {1 / (i + 1):.4f}\n" for i in range(100)))
    for folder in ("samples/step_10", "data", "parity", "predictions"):
        place = tmp_path / folder
        place.mkdir(parents=True)
        for i, data in enumerate((b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x89PNG\r\n\x1a\n", b"{", b"\xff" * 999)):
            for suffix in ("npz", "npy", "png", "jpg", "json", "jsonl", "csv"):
                (place / f"train_preds{i}.{suffix}").write_bytes(data)
        (place / "loop.npz").symlink_to(place / "loop.npz")
        (place / "folder.npz").mkdir()
    start = time.perf_counter()
    report = runvet.check(tmp_path)
    assert report.checks.crashed == ()
    assert time.perf_counter() - start < 30


def test_artifacts_are_not_touched_without_a_rule_that_asks() -> None:
    def refuse():
        raise AssertionError("listed")

    from runvet.artifacts.model import Artifacts

    run = examples.run(examples.stage(loss=examples.decay(50)))
    from dataclasses import replace

    lazy = replace(run, artifacts=Artifacts(refuse))
    loss_rules = [r for r in engine.collect() if r.family == "LOSS"]
    assert not [o.why for o in engine.judge(lazy, rules=loss_rules) if o.state == "crashed"]
    assert in_memory({}).items == ()
