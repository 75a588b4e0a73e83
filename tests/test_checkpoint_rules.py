"""The rules on checkpoints over real files: what belongs together, what is spared, and what is said."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

import weight_files as files
from runvet import api, examples
from runvet.checkpoints import listing, reading
from runvet.evidence import checkpoints as evidence
from runvet.report import Report
from shared import shared


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A healthy log of 1,000 steps, without checkpoints."""
    files.log(tmp_path, examples.decay(1000))
    return tmp_path


def save(run: Path, step: int, arrays: dict[str, np.ndarray] | None = None, **more: object) -> Path:
    return files.write(run / f"ckpt/step_{step}.safetensors", files.weights(step) if arrays is None else arrays, **more)


def codes(report: Report) -> dict[str, str]:
    assert not report.checks.crashed
    return {f.rule: f.severity for f in report.findings if f.rule.startswith("CKPT")}


def message(report: Report, code: str) -> str:
    return next(f.message for f in report.findings if f.rule == code)


def test_a_healthy_series_is_silent(run: Path) -> None:
    for step in (200, 400, 600):
        save(run, step)
    report = api.check(run)
    assert codes(report) == {}
    assert {"CKPT101", "CKPT102", "CKPT103", "CKPT104", "CKPT108"} <= set(report.checks.passed)


def test_no_checkpoint_is_not_applicable(run: Path) -> None:
    report = api.check(run)
    assert "CKPT101" in {u.rule for u in report.checks.not_applicable}
    assert report.trusted_checkpoint is None


def test_one_disease_is_one_finding_with_a_table(run: Path) -> None:
    for step in range(100, 1001, 100):
        save(run, step, {} if step not in (300, 700) else None)
    report = api.check(run)
    assert codes(report) == {"CKPT101": "critical"}
    assert message(report, "CKPT101").startswith(
        "8 of 10 checkpoints hold no tensors, step 1,000 (newest) among them; full: step 300 and 700"
    )
    finding = next(f for f in report.findings if f.rule == "CKPT101")
    assert {m.where for m in finding.evidence if m.where and m.value == 0} == {
        f"ckpt/step_{s}.safetensors" for s in range(100, 1001, 100) if s not in (300, 700)
    }
    assert report.actions[0].do.startswith("Stop the run and keep the checkpoint of step 700 (and step 300)")


def test_an_early_empty_one_is_a_warning(run: Path) -> None:
    save(run, 100, {})
    for step in (200, 300, 400):
        save(run, step)
    assert codes(api.check(run)) == {"CKPT101": "warning"}


def test_a_damaged_newest_is_critical_and_a_half_written_one_is_not_judged(run: Path) -> None:
    for step in (200, 400):
        save(run, step)
    newest = save(run, 600, cut=40)
    assert codes(api.check(run)) == {"CKPT102": "critical"}
    os.utime(newest)
    report = api.check(run)
    assert codes(report) == {}
    reason = next(u for u in report.checks.not_checked if u.rule == "CKPT102")
    assert "may still be being written" in reason.why
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.step == 400
    assert "step 600 may still be being written" in report.trusted_checkpoint.why


def test_a_recent_lock_beside_it_means_that_it_is_being_written(run: Path) -> None:
    for step in (200, 400):
        save(run, step)
    newest = save(run, 600, cut=40)
    lock = Path(f"{newest}.lock")
    lock.touch()
    assert codes(api.check(run)) == {}
    os.utime(lock, (time.time() - 2 * evidence.LOCK_AGE,) * 2)
    assert codes(api.check(run)) == {"CKPT102": "critical"}


def test_empty_ones_are_judged_however_young_they_are(run: Path) -> None:
    """A run that was copied a moment ago: all its files are new. An empty archive is no half of a full one."""
    for step in (200, 400, 600):
        save(run, step, {}, age=0.0)
    assert codes(api.check(run)) == {"CKPT101": "critical"}


def test_not_finite_names_the_last_finite_one(run: Path) -> None:
    for step in (200, 400):
        save(run, step)
    for step in (600, 800):
        save(run, step, {**files.weights(step), "head.weight": np.full((6, 6), np.nan)})
    report = api.check(run)
    assert codes(report) == {"CKPT104": "critical"}
    assert "the last finite one before it is step 400" in message(report, "CKPT104")
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.step == 400


def test_values_that_were_not_read_are_said_to_be_missing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BYTES", 100)
    save(run, 200)
    save(run, 400, {**files.weights(400), "head.weight": np.full((6, 6), np.nan)})
    report = api.check(run)
    assert codes(report) == {}
    unread = {u.rule: u for u in report.checks.not_checked if u.rule.startswith("CKPT")}
    assert {"CKPT104", "CKPT108"} <= unread.keys()
    assert unread["CKPT104"].unlock == "runvet checkpoints PATH --deep"
    assert report.trusted_checkpoint is not None
    assert "its values were not read" in report.trusted_checkpoint.why


def test_unchanged_weights_need_a_learning_rate(run: Path) -> None:
    for step in (200, 400, 600):
        save(run, step, files.weights(0))
    report = api.check(run)
    assert codes(report) == {"CKPT108": "critical"}
    assert "all 4 weights are equal bit by bit in step 200 and step 600 (2 of 2 intervals" in message(report, "CKPT108")
    files.log(run, examples.decay(1000), rate=0.0)
    assert "CKPT108" not in codes(api.check(run))


def test_copies_are_no_saves_without_a_change(run: Path) -> None:
    for step in (200, 400, 600):
        save(run, step)
    for name, step in (("last", 600), ("best", 400)):
        files.write(run / f"ckpt/{name}.safetensors", files.weights(step))
    read = api.read(run)
    found = evidence.of(read.checkpoints, run, time.time())
    assert found is not None
    assert {(a.path, b.path) for a, b in found.copies} == {
        ("ckpt/last.safetensors", "ckpt/step_600.safetensors"),
        ("ckpt/best.safetensors", "ckpt/step_400.safetensors"),
    }
    assert [c.step for c in found.saves] == [200, 400, 600]
    assert codes(api.judge(read)) == {}


def test_wrappers_and_lost_weights(run: Path) -> None:
    save(run, 200)
    save(run, 400, files.weights(400, prefix="module."))
    assert codes(api.check(run)) == {"CKPT111": "warning"}
    save(run, 400, {n: a for n, a in files.weights(400).items() if n != "head.weight"})
    report = api.check(run)
    assert codes(report) == {"CKPT112": "warning"}
    assert "1 of 4 weights of step 200 are gone in step 400: head.weight" in message(report, "CKPT112")


def test_far_fewer_weights_than_before(run: Path) -> None:
    for step in (200, 400):
        save(run, step)
    save(run, 600, {"head.weight": files.weights(600)["head.weight"]})
    report = api.check(run)
    assert codes(report)["CKPT107"] == "critical"
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.step == 400


def test_checkpoints_belong_to_the_stage_that_their_path_names(tmp_path: Path) -> None:
    for stage in ("tokenizer", "dynamics"):
        folder = tmp_path / stage
        folder.mkdir()
        files.log(folder, examples.decay(1000, seed=len(stage)))
        for step in (200, 400):
            files.write(
                folder / f"checkpoints/step_{step}.safetensors", {} if stage == "dynamics" else files.weights(step)
            )
    report = api.check(tmp_path)
    assert {(f.rule, f.stage) for f in report.findings if f.rule.startswith("CKPT")} == {("CKPT101", "dynamics")}
    assert report.trusted_checkpoint is None, "the stage to blame has none that can be used"


def test_checkpoints_alone_are_judged(tmp_path: Path) -> None:
    files.write(tmp_path / "step_100.safetensors", {})
    assert codes(api.check(tmp_path)) == {"CKPT101": "critical"}


def test_samples_and_logs_are_not_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without checkpoints costs a walk over its folders, however many samples it has."""

    def refuse(*_: object) -> object:
        raise AssertionError("a file was opened that is no checkpoint")

    monkeypatch.setattr(listing, "_job", refuse)
    for i in range(50):
        for name in (f"samples/step_10/{i}.npz", f"outputs/step_20/{i:04d}.png", f"data/{i}.npy", f"voxels_{i}.npz"):
            place = run / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"PK")
    assert reading.below(run) == ()
    assert reading.below(run / "metrics.csv") == ()


@pytest.mark.parametrize(
    "name",
    [
        "accelerate_state",
        "fastai_run",
        "hf_trainer",
        "hf_trainer_resumed",
        "lightning_run",
        "mmengine_run",
        "peft_lora",
        "sb3_run",
    ],
)
def test_real_healthy_checkpoints_are_silent(name: str) -> None:
    assert codes(api.check(shared("corpus/artifacts") / name)) == {}


@pytest.mark.parametrize("case", ["panoramas-resumed", "voxels-floating", "voxels-sparse", "worlds-dynamics"])
def test_healthy_twins_are_silent(case: str) -> None:
    report = api.check(shared(f"cases/{case}-healthy") / "run")
    assert codes(report) == {}
    assert report.trusted_checkpoint is not None


def test_the_empty_checkpoints_of_the_world_model() -> None:
    report = api.check(shared("cases/worlds-dynamics") / "run")
    assert codes(report) == {"CKPT101": "critical"}
    assert message(report, "CKPT101") == (
        "24 of 26 checkpoints hold no tensors, step 50,000 (newest) among them; full: step 26,000 and 44,000;"
        " pattern: every rank writes the same path and the last one wins"
    )
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.step == 44000
    assert "already degraded" in report.trusted_checkpoint.why
    assert "step 26,000 is the only other usable one" in report.trusted_checkpoint.why


def test_a_restart_from_a_checkpoint_without_its_step() -> None:
    report = api.check(shared("cases/panoramas-resumed") / "run")
    assert codes(report) == {"CKPT113": "warning"}
    assert "5,000 and 4,000 steps" in message(report, "CKPT113")


def test_of_very_many_a_sample_is_read_and_the_report_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SAMPLE", 12)
    monkeypatch.setattr(reading, "NEWEST", 2)
    monkeypatch.setattr(evidence, "SAMPLED", 10)
    for step in range(10, 400, 10):
        save(run, step)
    files.write(run / "ckpt/best.safetensors", files.weights(5))
    found = reading.below(run)
    read = [c.step for c in found if c.values is not None]
    assert len(found) == 40
    assert 12 <= len(read) <= 15
    assert {390, None} <= set(read)
    report = api.check(run)
    assert codes(report) == {}
    assert "CKPT108" in report.checks.passed
    (why,) = [u.why for u in report.checks.not_checked if u.rule == "CKPT104"]
    assert why.endswith("of 40 checkpoints were read, evenly chosen, and all are in order")


def test_a_nan_in_the_sample_is_found(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SAMPLE", 10)
    monkeypatch.setattr(evidence, "SAMPLED", 8)
    for step in range(10, 400, 10):
        save(run, step, {n: a * np.nan for n, a in files.weights(step).items()} if step > 200 else None)
    assert codes(api.check(run)) == {"CKPT104": "critical"}


def settings(run: Path, **told: object) -> None:
    (run / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in told.items()))


def test_a_frozen_module_that_moves(run: Path) -> None:
    for step in (200, 400, 600):
        save(run, step)
    settings(run, freeze_encoder="true")
    report = api.check(run)
    assert codes(report) == {"CKPT118": "warning"}
    assert "2 of 2 weights of encoder moved between step 400 and step 600" in message(report, "CKPT118")
    settings(run, freeze_encoder="false")
    assert codes(api.check(run)) == {}


def test_a_module_to_be_trained_that_stays(run: Path) -> None:
    for step in (200, 400, 600):
        save(run, step, {**files.weights(step), **{n: a for n, a in files.weights(0).items() if "encoder" in n}})
    assert codes(api.check(run)) == {}
    settings(run, freeze_encoder="false")
    assert codes(api.check(run)) == {"CKPT119": "warning"}
    settings(run, freeze_encoder="true")
    assert codes(api.check(run)) == {}


def test_pretrained_weights_with_another_prefix(run: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for step in (200, 400):
        save(run, step)
    finished = files.write(
        tmp_path_factory.mktemp("zoo") / "finished.safetensors", files.weights(7, prefix="module.", scale=0.1)
    )
    settings(run, pretrained=finished)
    report = api.check(run)
    assert codes(report) == {"CKPT120": "warning"}
    assert "'module.encoder.0.weight'" in message(report, "CKPT120")
    files.write(finished, files.weights(7, prefix="module."))
    assert codes(api.check(run)) == {}, "values of the same spread: the loader took the prefix away"


def test_steps_that_the_log_contradicts(tmp_path: Path) -> None:
    lines = []
    for step in range(0, 1001, 10):
        lines.append(f"step {step} loss {4 / (1 + step) ** 0.5 + 1:.4f}")
        if step and step % 200 == 0:
            lines.append(f"Saved checkpoint to out/ckpt/ck_{chr(96 + step // 200)}.safetensors")
    (tmp_path / "train.log").write_text("\n".join([*lines, ""]))
    for i, step in enumerate((200, 400, 600, 800, 1000)):
        files.write(tmp_path / f"ckpt/ck_{chr(97 + i)}.safetensors", files.weights(step), step=str(step))
    assert codes(api.check(tmp_path)) == {}
    files.write(tmp_path / "ckpt/ck_c.safetensors", files.weights(600), step="90000")
    report = api.check(tmp_path)
    assert codes(report) == {"CKPT121": "warning"}
    assert "ck_c.safetensors says 90,000, the log stood at 600 (train.log:" in message(report, "CKPT121")


def test_checkpoints_that_are_written_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "exp42"
    run.mkdir()
    lines = [f"step {step} loss {4 / (1 + step) ** 0.5 + 1:.4f}" for step in range(0, 1001, 10)]
    (run / "train.log").write_text("\n".join([*lines, "Saved checkpoint to /scratch/weights/model_1000.pt", ""]))
    settings(run, output_dir="/data/runs/exp42")
    assert codes(api.check(run)) == {"CKPT117": "warning"}
    save(run, 1000)
    assert codes(api.check(run)) == {}
