"""Trainings of seconds on a CPU: exact resume, what the run folder holds, what users get told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import runvet
from runvet.checkpoints import load as load_checkpoint
from runvet_lab.base.config import load
from runvet_lab.voxels import data, metrics, run_folder, sets, sweep, tokens
from runvet_lab.voxels.cli import command
from runvet_lab.voxels.config import CONFIGS, Config, named
from runvet_lab.voxels.diffusion.process import Sampling
from runvet_lab.voxels.train import Trainer, learning_rate
from runvet_lab.voxels.trained import checkpoints, open_run

TINY = ["net.width=16", "net.depth=1", "net.heads=2", "text.width=16", "text.buckets=64", "train.max_steps=8", "train.warmup_steps=2",
        "train.batch_size=4", "train.log_every=1", "train.val_every=4", "train.sample_every=4", "train.sample_per_class=1",
        "train.final_per_class=2", "sampling.num_inference_steps=3", "launch.threads=1", "launch.accelerator=cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voxels") / "data"
    sets.write(folder, 60, size=(12, 12, 12), classes=("house", "pyramid", "wall"), held_out=12)
    return folder


def configured(source: Path, *pairs: str) -> Config:
    return load(Config, [named("small")], [*TINY, f"data.folder={source}", *pairs])


def silent(_: str) -> None:
    """Progress goes nowhere."""


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voxels") / "run"
    Trainer(configured(source), folder, silent).run()
    return folder


def test_a_set_repeats_nothing_and_holds_out_what_it_says(source: Path) -> None:
    train, held = data.splits(source)
    assert (len(train), len(held)) == (48, 12)
    assert len({grid.tobytes() for grid in (*train.grids, *held.grids)}) == 60


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_resumed_run_goes_on_bit_by_bit(source: Path, tmp_path: Path, precision: str) -> None:
    more = [f"launch.precision={precision}"]
    Trainer(configured(source, *more), tmp_path / "whole", silent).run()
    Trainer(configured(source, *more), tmp_path / "parts", silent).run(until=4)
    torch.manual_seed(1234)  # whatever happens between
    np.random.default_rng(5).random(100)
    Trainer(run_folder.read_config(tmp_path / "parts"), tmp_path / "parts", silent).run(resume=True)
    one, other = (load_checkpoint(tmp_path / name / "checkpoints" / "step-00000008") for name in ("whole", "parts"))
    for part in ("model", "ema"):
        for name, value in one[part].items():
            assert torch.equal(value, other[part][name]), f"{part}.{name}"
    for key, state in one["optimizer"]["state"].items():
        assert all(
            torch.equal(torch.as_tensor(v), torch.as_tensor(other["optimizer"]["state"][key][k]))
            for k, v in state.items()
        )
    rows = [
        [json.loads(row) for row in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    for a, b in zip(*rows, strict=True):
        changing = ("time", "step_seconds")
        assert {k: v for k, v in a.items() if k not in changing} == {k: v for k, v in b.items() if k not in changing}


def test_the_run_folder_holds_what_is_needed_to_judge_it(run: Path, source: Path) -> None:
    rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 9))
    last = rows[-1]
    for name in (
        "train/loss",
        "val/loss",
        "lr",
        "grad_norm",
        "step_seconds",
        "baseline/all_air",
        "train/accuracy",
        "sample/score",
    ):
        assert name in last, name
    assert last["baseline/all_air"] == pytest.approx(float((data.splits(source)[0].grids == 0).mean()), rel=1e-6)
    schedule = np.load(run / "schedules.npz")
    assert {"train_signal", "sampling_signal", "visited"} <= set(schedule)
    assert tokens.load(run).ids[0] == 0
    assert tokens.load(run).size == (12, 12, 12)
    about = json.loads((run / "samples" / "step_000004" / "sample_0000" / "data.json").read_text())
    assert {"seed", "prompt", "structure_name", "guidance_scale", "effective_temperature", "step"} <= set(about)
    assert len(data.read(run / "dataset")) == 48
    assert json.loads((run / "summary.json").read_text())["step"] == 8
    report = runvet.check(run)
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.step == 8


def test_samples_depend_on_seed_and_prompt_alone(run: Path) -> None:
    trained = open_run(run)
    first = trained.sample(["a house", "a wall"], seed=3)
    assert first.shape == (2, 12, 12, 12)
    assert first.dtype == np.uint8
    assert np.array_equal(first, trained.sample(["a house", "a wall"], seed=3))
    assert not np.array_equal(first, trained.sample(["a house", "a wall"], seed=4))
    assert set(np.unique(first).tolist()) <= set(trained.vocabulary.ids)
    assert sorted(checkpoints(run)) == [4, 8]
    with pytest.raises(ValueError, match="no checkpoint of step 5; there are 4, 8"):
        open_run(run, 5)


def test_a_sweep_ranks_checkpoints_and_settings(run: Path, source: Path) -> None:
    train, held = data.splits(source)
    found = sweep.sweep(
        run, train, metrics.Reference(train, held), each=2, variants=sweep.variants(["guidance_scale=1,2"])
    )
    assert len(found) == 4
    assert [e.score for e in found] == sorted((e.score for e in found), reverse=True)
    assert all(e.low <= e.score + 1e-9 and e.score <= e.high + 0.3 for e in found)
    assert "guidance_scale=2.0" in " ".join(sweep.line(e) for e in found)
    with pytest.raises(ValueError, match="known are num_inference_steps"):
        sweep.variants(["heat=1"])


def test_commands_from_training_to_samples(source: Path, tmp_path: Path) -> None:
    invoke = CliRunner().invoke
    done = invoke(command, ["train", "--config", "small", "--data", str(source), "--out", str(tmp_path / "run"), *TINY])
    assert done.exit_code == 0, done.output
    again = invoke(
        command, ["train", "--config", "small", "--data", str(source), "--out", str(tmp_path / "run"), *TINY]
    )
    assert again.exit_code == 1
    assert "holds a run already" in again.output
    options = [
        "--prompt",
        "a tall house",
        "--count",
        "2",
        "--out",
        str(tmp_path / "made"),
        "--guidance",
        "2",
        "--steps",
        "2",
        "--checkpoint",
        "last",
    ]
    made = invoke(command, ["sample", str(tmp_path / "run"), *options])
    assert made.exit_code == 0, made.output
    found = data.read(tmp_path / "made" / "step_000008")
    assert found.labels == ("house", "house")
    assert found.prompts == ("a tall house",) * 2
    about = json.loads((tmp_path / "made" / "step_000008" / "sample_0001" / "data.json").read_text())
    assert (about["guidance_scale"], about["num_inference_steps"]) == (2.0, 2)
    ranked = invoke(command, ["sweep", str(tmp_path / "run"), "--data", str(source), "--each", "1"])
    assert ranked.exit_code == 0, ranked.output
    assert "score" in ranked.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--config", "nothing", "--out", "x"], "no configuration 'nothing'; known are"),
        (["train", "--out", "x", "train.learning_rat=1"], "did you mean 'train.learning_rate'"),
        (["train", "--out", "x", "data.folder=missing"], "missing: no such folder"),
        (["sample", ".", "--prompt", "a", "--out", "x"], "is it a run of"),
    ],
)
def test_what_users_can_mend_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_damaged_checkpoint_is_named(run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "run")
    broken = tmp_path / "run" / "checkpoints" / "step-00000008" / "state.pt"
    broken.write_bytes(broken.read_bytes()[:-100])
    done = CliRunner().invoke(
        command, ["sample", str(tmp_path / "run"), "--prompt", "a", "--out", str(tmp_path / "x"), "--checkpoint", "8"]
    )
    assert done.exit_code == 1
    assert "step-00000008" in done.output
    assert "Traceback" not in done.output


def test_training_stops_when_samples_get_no_better(source: Path, tmp_path: Path) -> None:
    pairs = ["train.learning_rate=0", "train.final_learning_rate=0", "train.max_steps=40", "train.val_every=2", "train.sample_every=0",
             "train.early_stopping.metric=val/loss", "train.early_stopping.direction=down", "train.early_stopping.patience=3"]  # fmt: skip
    result = Trainer(configured(source, *pairs), tmp_path / "run", silent).run()
    assert result.stopped == "patience"
    assert result.step < 20


def test_coarse_to_fine(source: Path, tmp_path: Path) -> None:
    pairs = ["train.coarse=2", "net.patch=2", "train.max_steps=4"]
    Trainer(configured(source, *pairs), tmp_path / "run", silent).run()
    grids = open_run(tmp_path / "run").sample(["a house"], seed=0)
    assert grids.shape == (1, 12, 12, 12)


def test_learning_rates_warm_up_and_fall() -> None:
    config = Config()
    rates = [learning_rate(step, config) for step in range(1, config.train.max_steps + 1)]
    assert rates[0] == pytest.approx(config.train.learning_rate / config.train.warmup_steps)
    assert max(rates) == pytest.approx(config.train.learning_rate)
    assert rates[-1] == pytest.approx(config.train.final_learning_rate)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_configuration_fits_its_schema(path: Path) -> None:
    assert isinstance(load(Config, [path]), Config)
    for sick in (CONFIGS / "sick").glob("*.yaml"):
        assert isinstance(load(Config, [path, sick]).sampling, Sampling)
