"""Calibrations, conventions, coverage, horizons, probes, windows, leaks: the numbers behind REG, ENV and PAR."""

from __future__ import annotations

import base64
import contextlib
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from runvet import engine, examples
from runvet import examples_artifacts as made
from runvet.artifacts import finding
from runvet.artifacts.calibrations import parsed
from runvet.artifacts.model import UnreadableError
from runvet.config import Config
from runvet.evidence import Missing
from runvet.evidence.calibrations import Calibrations, RotationStacks
from runvet.evidence.conventions import Proof
from runvet.evidence.coverage import Coverage
from runvet.evidence.depths import DepthPairs
from runvet.evidence.headings import Headings
from runvet.evidence.horizons import Horizons
from runvet.evidence.inputs import FedInputs
from runvet.evidence.leaks import Leaks
from runvet.evidence.mask_scores import MaskScores, Score, best_iou
from runvet.evidence.targets import Probes
from runvet.rules.reg.learnable_not_learnt import _records
from runvet.rules.reg.lost_coverage import _run as rig_run
from runvet.rules.reg.ray_depth_as_z import _depths, _ray
from runvet.rules.reg.wrong_euler_convention import _frames
from runvet.run import Run
from runvet.statistics.rotations import UNREAL, conventions


def evidence(run: Run, kind: type):
    return engine.Evidence(run, Config()).get(kind, run.stages[0])


def codes(run: Run, family: str = "") -> set[str]:
    return {o.rule.code for o in engine.judge(run) if o.findings and o.rule.code.startswith(family)}


def test_numpy_scalars_of_a_yaml_are_read_and_nothing_is_built() -> None:
    raw = struct.pack("<d", 12.5)
    text = f"""
lidar_pose: [1.0, 2.0]
ego_speed: !!python/object/apply:numpy.core.multiarray.scalar
- &id001 !!python/object/apply:numpy.dtype
  args: [f8, 0, 1]
  state: !!python/tuple [3, <, null, null, null, -1, -1, 0]
- !!binary |
  {base64.b64encode(raw).decode()}
evil: !!python/object/apply:os.system ["echo was here"]
name: !!python/name:os.system
"""
    plain = parsed(text.encode()).plain
    assert plain["lidar_pose"] == [1.0, 2.0]
    assert plain["ego_speed"] == 12.5
    assert plain["evil"] is None
    assert plain["name"] is None


def test_aliases_that_unfold_to_gigabytes_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(UnreadableError, match="values of YAML"):
        parsed("\n".join(lines).encode())
    with pytest.raises(UnreadableError):
        parsed(b"a: &a [*a]")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_yaml_or_refused(data: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        parsed(data)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(list(conventions())), st.integers(0, 99))
def test_the_convention_that_made_the_matrices_is_proven(convention, seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses = []
    for _ in range(12):
        roll, pitch, yaw = rng.uniform(-1, 1, 3)
        columns = {a: s * v for a, s, v in zip("xyz", convention.signs, (roll, pitch, yaw), strict=True)}
        matrix = Rotation.from_euler(convention.order.upper(), [columns[a] for a in convention.order]).as_matrix()
        poses.append({"roll": roll, "pitch": pitch, "yaw": yaw, "rotation": matrix.tolist()})
    found = evidence(made.with_files({"data/poses.json": poses}), Proof)
    assert found.share == 1
    # The inverse with all signs turned is the same rotation, and is named beside it.
    assert any(np.abs(c.matrix(found.observed.second) - found.observed.rotation).max() < 1e-6 for c in found.fits)


def test_opv2v_frames_on_disk_prove_their_convention(tmp_path: Path) -> None:
    for name, frame in _frames(UNREAL).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(frame), "utf-8")
    run = examples.run(examples.stage(loss=examples.decay(100)), settings={"euler_order": "zyx"})
    run = Run(run.path, run.stages, settings=run.settings, artifacts=finding.below(tmp_path))
    found = evidence(run, Proof)
    assert found.fits == (UNREAL,)
    assert found.residuals.max() < 1e-4
    assert "REG112" in codes(run, "REG")


def test_angles_of_a_flat_road_prove_nothing_wrong() -> None:
    """Without roll and pitch several conventions give the same matrices: a setting that names one of them is right."""
    poses = [{"roll": 0.0, "pitch": 0.0, "yaw": 0.1 * i, "rotation": Rotation.from_euler("z", 0.1 * i).as_matrix().tolist()} for i in range(20)]  # fmt: skip
    run = made.with_files({"data/poses.json": poses}, settings={"euler_order": "zyx"})
    assert len(evidence(run, Proof).fits) > 4
    assert not codes(run, "REG")


def test_the_rig_of_opv2v_sees_six_sevenths_and_a_third_when_cut() -> None:
    found = evidence(rig_run(0.331), Coverage)
    assert found.expected == pytest.approx(0.857, abs=0.002)
    assert found.cropped == pytest.approx(0.331, abs=0.002)
    assert found.around == pytest.approx(400, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.4, 1.5), st.integers(0, 99))
def test_ray_depth_is_told_with_its_focal_length(focal: float, seed: int) -> None:
    z = _depths(seed=seed)
    noise = np.exp(0.02 * np.random.default_rng(seed).standard_normal(z.shape))
    run = made.with_files({"predictions.npz": {"pred_depth": z * noise * _ray(24, 32, 32 * focal), "gt_depth": z}})
    (fit,) = evidence(run, DepthPairs).fits
    assert fit.sign == 1
    assert fit.focal == pytest.approx(32 * focal, rel=0.1)
    assert "REG115" not in codes(made.with_files({"predictions.npz": {"pred_depth": z * noise, "gt_depth": z}}))


def test_rotations_are_found_in_arrays_and_files() -> None:
    good = Rotation.random(30, random_state=0).as_matrix()
    run = made.with_files({"data/poses.npz": {"cam2world": good, "voxels": np.zeros((30, 3, 3))}})
    assert [n for n, _ in evidence(run, RotationStacks).stacks] == ["data/poses.npz: cam2world"]
    frames = [{"transform_matrix": np.eye(4).tolist(), "file_path": f"{i}.png"} for i in range(9)]
    run = made.with_files({"data/transforms_train.json": {"camera_angle_x": 0.7, "frames": frames}})
    assert len(evidence(run, Calibrations).records) == 9
    assert isinstance(evidence(made.with_files({"data/x.npz": {"y": good}}), RotationStacks), Missing)


def test_horizons_of_metrics_and_of_predictions() -> None:
    run = made.with_files({"eval/metrics.json": {"L2@2.5s": 1.0, "L2@3.5s": 2.0, "L2@4.5s": 4.0, "hit@1": 1, "hit@5": 2, "hit@9": 3}})  # fmt: skip
    (one,) = evidence(run, Horizons).all
    assert one.ahead.tolist() == [2.5, 3.5, 4.5]
    assert one.error.tolist() == [1, 2, 4]
    stage = examples.stage(loss=examples.decay(40), **{f"val_ade@{t}s": examples.decay(9) for t in (1, 2, 3)})
    assert len(evidence(examples.run(stage), Horizons).all) == 1
    paths = np.cumsum(np.random.default_rng(0).normal(size=(60, 9, 2)), axis=1)
    (one,) = evidence(made.with_files({"predictions.npz": {"pred": paths + 3.0, "gt": paths}}), Horizons).all
    assert one.error == pytest.approx(np.full(9, 3 * math.sqrt(2)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_the_best_overlap_is_that_of_trying_every_threshold(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, true = rng.integers(0, 6, n) / 5, rng.random(n) < 0.4
    tried = [((scores >= t) & true).sum() / max(1, ((scores >= t) | true).sum()) for t in np.unique(scores)]
    assert best_iou(scores, true) == pytest.approx(max(tried))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.02, 0.9), st.floats(0.05, 8.0))
def test_no_mask_costs_less_than_its_means_allow(seed: int, rate: float, power: float) -> None:
    rng = np.random.default_rng(seed)
    true = rng.random(2000) < rate
    p = np.clip(rng.random(2000) ** power * 0.3 + 0.69 * true * rng.random(), 1e-5, 1 - 1e-5)
    if not 0 < true.mean() < 1:
        return
    cost = float(-np.mean(np.where(true, np.log(p), np.log(1 - p))))
    square = float(np.mean((true - p) ** 2))
    score = Score("m", cost, float(true.mean()), float(p.mean()), math.nan, "x", "x")
    assert min(cost, square) >= score.least - 1e-9


def test_classes_as_one_hot_are_no_mask() -> None:
    rng = np.random.default_rng(0)
    true = np.eye(20)[rng.integers(0, 20, 60)]
    assert isinstance(evidence(made.with_files({"p.npz": {"pred": rng.random((60, 20)), "gt": true}}), MaskScores), Missing)  # fmt: skip


def test_a_broken_optimiser_and_broken_targets_are_told_apart() -> None:
    still = 0.2 * made.truth(240, 18, seed=3).reshape(240, 9, 2)
    for torn, expected, other in ((False, "REG120", "REG121"), (True, "REG121", "REG120")):
        records, paths = _records(240, torn=torn)
        run = made.with_files({"data/trajectories.json": records, "predictions.npz": {"pred": still, "gt": paths}})
        found = codes(run, "REG")
        assert expected in found
        assert other not in found
        (one,) = evidence(run, Probes).all
        assert (one.probe.r2 > 0.5) == (not torn)
        assert "id" not in one.targets.features


def test_colours_of_pictures_are_cheap_features() -> None:
    rng = np.random.default_rng(0)
    light = rng.integers(30, 220, 100)
    files: dict = {f"data/images/{i}.png": {"image": np.full((16, 16, 3), v, np.uint8)} for i, v in enumerate(light)}
    files["data/train.json"] = [
        {"image": f"images/{i}.png", "target": [float(v), 2.0 * float(v) + 0.5]} for i, v in enumerate(light)
    ]
    (one,) = evidence(made.with_files(files), Probes).all
    assert one.targets.features == ("image",)
    assert one.probe.r2 > 0.95


def test_inputs_that_are_rolled_scaled_or_the_same() -> None:
    x = np.cumsum(np.random.default_rng(0).normal(size=(3, 8, 64)), axis=-1)
    for shift in (0, 16):
        run = made.with_files({"train_batch.npz": {"image": x}, "infer_batch.npz": {"image": np.roll(x, shift, -1)}})
        (one,) = evidence(run, FedInputs).all
        assert one.shift == shift


def test_data_of_train_and_val_are_no_batches() -> None:
    files = {
        "data/train/images.npz": {"image": made.truth(40, 64)},
        "data/val/images.npz": {"image": 9 * made.truth(40, 64)},
    }
    assert isinstance(evidence(made.with_files(files), FedInputs), Missing)


def test_an_autoencoder_that_rebuilds_its_input_leaks_nothing() -> None:
    x = made.truth(60, 20)
    found = evidence(made.with_files({"data/train.npz": {"inputs": x, "targets": x}}), Leaks)
    assert found.found == ()


def test_two_configurations_of_one_resumed_run_on_disk(tmp_path: Path) -> None:
    from runvet import check

    lines = [f"step {s} loss {4 / math.sqrt(s + 1) + 0.5:.4f}" for s in range(400)]
    again = [f"step {s} loss {4 / math.sqrt(s + 1) + 0.5:.4f}" for s in range(380, 800)]
    (tmp_path / "train.log").write_text("\n".join([*lines, "Resume checkpoint last.pt", *again]) + "\n", "utf-8")
    (tmp_path / "config_1.yaml").write_text("lr: 0.001\nbatch_size: 8\n", "utf-8")
    (tmp_path / "config_2.yaml").write_text("lr: 0.002\nbatch_size: 8\n", "utf-8")
    assert "ENV103" in {f.rule for f in check(tmp_path).findings}
    (tmp_path / "config_2.yaml").write_text("lr: 1e-3\nbatch_size: 8\n", "utf-8")
    assert "ENV103" not in {f.rule for f in check(tmp_path).findings}


def test_samples_of_one_file_each_are_joined_with_texts_tables_and_pictures() -> None:
    records, paths = _records(120)
    files: dict = {f"data/ground_truth_trajectories/{i:04d}.npy": {"array": p} for i, p in enumerate(paths)}
    files["data/samples.jsonl"] = [{"id": f"{i:04d}", "speed": r["speed"]} for i, r in enumerate(records)]
    still = 0.2 * made.truth(120, 18, seed=3).reshape(paths.shape)
    run = made.with_files({**files, "predictions.npz": {"pred": still, "gt": paths}})
    (one,) = evidence(run, Probes).all
    assert one.targets.features == ("speed",)
    assert one.probe.r2 > 0.3
    assert "REG120" in codes(run, "REG")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(-20, 20))
def test_the_turn_that_brings_paths_ahead_is_found(seed: int, offset: float) -> None:
    """Headings may be unwrapped beyond a turn, and places far from the origin."""
    rng = np.random.default_rng(seed)
    yaw = rng.uniform(-np.pi, np.pi, 80) + 2 * np.pi * rng.integers(-1, 2, 80)
    far = rng.uniform(3, 14, (80, 1)) * np.linspace(0.4, 4.5, 9)
    for turned, best in ((0, 0), (1, 1), (2, 2), (-1, 3)):
        at = turned * yaw[:, None]
        paths = np.stack([far * np.cos(at) + offset, far * np.sin(at) - offset], -1)
        found = evidence(made.with_files({"data/train.npz": {"future": paths, "yaw": yaw}}), Headings).all[0]
        assert int(found.concentration.argmax()) == best
        assert found.concentration.max() > 0.99


NAMES = ("pred_depth", "gt_depth", "pred", "gt", "past", "yaw", "future", "inputs", "image", "timestamps", "track_ids", "rotations", "speed", "pred_mask", "gt_mask")  # fmt: skip
PLACES = ("predictions.npz", "data/train.npz", "train_batch.npz", "infer_batch.npz", "data/poses.npz")
SHAPES = ((), (0,), (90,), (90, 3), (0, 3, 3), (90, 3, 3), (90, 12, 2), (90, 12, 12), (90, 4, 4), (1, 16, 48), (90, 9))
FILLS = (0.0, np.nan, np.inf, 1e300, -1e-320)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(*map(st.sampled_from, (PLACES, NAMES, SHAPES, (*FILLS, None, "whole")))), min_size=1, max_size=12
    )
)
def test_no_rule_crashes_on_odd_arrays_under_telling_names(drawn: list) -> None:
    rng = np.random.default_rng(0)
    files: dict = {}
    for place, name, shape, fill in drawn:
        array = (
            rng.normal(size=shape)
            if fill is None
            else rng.integers(0, 3, shape)
            if fill == "whole"
            else np.full(shape, fill)
        )
        files.setdefault(place, {})[name] = np.asarray(array)
    rules = [r for r in engine.collect() if r.family in ("REG", "PAR", "ENV", "DATA")]
    found = engine.judge(made.with_files(files), rules=rules)
    assert not [(o.rule.code, o.why) for o in found if o.state == "crashed"]
