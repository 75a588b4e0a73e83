"""Schedules that start over, warm-ups that never end, and jobs that begin again: read from files and as curves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runvet import api, engine, examples
from runvet.evidence.launches import Launches, launches
from runvet.run import FloatArray, Run
from runvet.statistics.schedule import started_over

RULES = {r.code: r for r in engine.collect()}
X = np.arange(0.0, 6000.0, 10.0)
LIMIT = "slurmstepd: error: *** JOB {} ON n1 CANCELLED AT 2025-03-04T12:00:00 DUE TO TIME LIMIT ***"


def cosine(
    x: FloatArray, length: float = 6000, peak: float = 3e-4, warmup: float = 300, floor: float = 0
) -> FloatArray:
    way = np.clip((x - warmup) / (length - warmup), 0, 1)
    down = floor + (peak - floor) * 0.5 * (1 + np.cos(np.pi * way))
    return np.where(x < warmup, peak * (x + 1) / max(warmup, 1), down)


def noam(x: FloatArray) -> FloatArray:
    return 1e-3 * np.minimum((x + 1) / 400, np.sqrt(400 / (x + 1)))


def clock(cut: float) -> FloatArray:
    """The steps that a scheduler counts that begins anew at `cut`."""
    return np.where(cut > X, X, X - cut)


@pytest.mark.parametrize(("rate", "at", "warms_up", "plateau"), [
    (cosine(clock(3000)), 300, True, False),
    (cosine(clock(3007)), 301, True, False),  # logged every tenth step, resumed between two of them
    (np.round(cosine(clock(3000)), 6), 300, True, False),
    (noam(clock(3007)), 301, True, False),
    (cosine(clock(4800)), 480, True, False),
    (np.where(X < 3000, cosine(X), cosine(X - 3000, 3000)), 300, True, False),  # the rest of the plan as its length
    (cosine(clock(3007), warmup=0), 301, False, False),
    (1e-3 * 0.9995 ** clock(3000), 300, False, False),
    (np.minimum(1, (clock(3000) + 1) / 300), 300, True, True),
])  # fmt: skip
def test_a_schedule_that_starts_over(rate: FloatArray, at: int, warms_up: bool, plateau: bool) -> None:
    (place,) = started_over(X, rate)
    assert (place.index, place.warms_up, place.plateau) == (at, warms_up, plateau)


def test_every_restart_of_several_is_told() -> None:
    assert [p.index for p in started_over(X, cosine(X % 2200))] == [220, 440]


@pytest.mark.parametrize("rate", [
    cosine(X),
    cosine(X % 2000, 2000, warmup=0),
    cosine(X % 2000, 2000, floor=1.5e-4),
    1e-4 + 9e-4 * np.abs((X / 1000) % 2 - 1),
    np.select([X < 2000, X < 4000], [1e-3, 1e-4], 1e-3),
    np.where(X % 1000 < 100, cosine(X) * (X % 1000) / 100, cosine(X)),  # back to the same envelope
    np.where(X < 3000, cosine(X), cosine(X - 3000, peak=1e-4)),
    cosine((X * 7.3) % 977, 977, warmup=0),  # cycles too short for the points
    np.zeros(600),
    np.full(600, np.inf),
])  # fmt: skip
def test_planned_schedules_do_not_start_over(rate: FloatArray) -> None:
    assert started_over(X, rate) == ()


@pytest.mark.parametrize("points", [8, 10, 12, 16, 20, 30, 50])
@pytest.mark.parametrize("warmup", [0, 3])
def test_cycles_logged_once_an_epoch(points: int, warmup: int) -> None:
    epochs = np.arange(5.0 * points)
    assert started_over(epochs, cosine(epochs % points, points, 0.1, warmup, 0.02)) == ()


def found(run: Run, code: str) -> list[str]:
    outcomes = engine.judge(run, rules=[RULES[code]])
    assert not [o.why for o in outcomes if o.state == "crashed"]
    return [o.state for o in outcomes for _ in o.findings]


def lines(steps: range, *, seed: int = 0, shift: int = 0, seconds: float | None = None) -> str:
    """A console log; `shift` steps were trained before, `seconds` (unix time) stamp the lines."""
    rng = np.random.default_rng(seed)
    rate = cosine(np.asarray(steps, np.float64), 9000)
    out = []
    for step, lr in zip(steps, rate, strict=True):
        stamp = "" if seconds is None else str(np.datetime64(int(seconds + step), "s")).replace("T", " ") + " | "
        loss = 2 + 5 * np.exp(-(step + shift) / 900) + rng.normal(0, 0.03)
        out.append(f"{stamp}step {step} | loss {loss:.4f} | lr {lr:.3e}")
    return "\n".join(out) + "\n"


def job(path: Path, number: int, text: str, *, killed: int = 0) -> None:
    (path / f"slurm-{number}.out").write_text(text + (LIMIT.format(killed) + "\n" if killed else ""))


def test_a_requeued_job_that_never_finds_its_checkpoint(tmp_path: Path) -> None:
    for k in range(4):
        text = "No checkpoint found in ckpts/, starting from scratch\n" + lines(range(0, 3001, 20), seed=k)
        job(tmp_path, 900 + k, text, killed=900)
    (tmp_path / "config.yaml").write_text("max_steps: 9000\nlr: 3e-4\n")
    run = api.read(tmp_path)
    assert found(run, "RES110") == ["critical"]
    evidence = launches(run.stages[0])
    assert isinstance(evidence, Launches)
    assert [one.scratch is not None for one in evidence.launches] == [True] * 4


def test_jobs_that_ran_side_by_side_are_no_restarts(tmp_path: Path) -> None:
    for k in range(4):
        job(tmp_path, 900 + k, "starting from scratch\n" + lines(range(0, 3001, 20), seed=k), killed=900 + k)
    assert not found(api.read(tmp_path), "RES110")


@pytest.mark.parametrize(("gap", "levels"), [(5000.0, ["critical"]), (7.0, [])])
def test_times_tell_whether_jobs_followed_each_other(tmp_path: Path, gap: float, levels: list[str]) -> None:
    for k in range(3):
        job(tmp_path, 900 + k, lines(range(0, 3001, 20), seed=k, seconds=1.74e9 + k * gap), killed=900 + k)
    assert found(api.read(tmp_path), "RES110") == levels


def test_array_tasks_and_other_seeds_are_other_runs(tmp_path: Path) -> None:
    for k in range(3):
        text = lines(range(0, 3001, 20), seed=k, seconds=1.74e9 + k * 5000)
        (tmp_path / f"slurm-77_{k}.out").write_text(text + LIMIT.format(77) + "\n")
    assert not found(api.read(tmp_path), "RES110")


def test_a_requeued_job_that_resumes(tmp_path: Path) -> None:
    job(tmp_path, 700, "Starting from scratch\n" + lines(range(0, 3240, 20)), killed=700)
    job(tmp_path, 701, "Resuming from checkpoint ckpts/step_3000.pt\n" + lines(range(3000, 6480, 20)), killed=700)
    job(tmp_path, 702, "Resuming from checkpoint ckpts/step_6000.pt\n" + lines(range(6000, 9001, 20)))
    (tmp_path / "config.yaml").write_text("max_steps: 9000\n")
    run = api.read(tmp_path)
    for code in ("RES109", "RES110", "RES111", "LR106"):
        assert not found(run, code)


def test_a_resumed_run_that_counts_from_zero(tmp_path: Path) -> None:
    told = "Resuming training from out\n"
    (tmp_path / "train.log").write_text(
        lines(range(0, 4000, 10)) + told + lines(range(0, 5000, 10), seed=1, shift=4000)
    )
    (tmp_path / "config.yaml").write_text("max_steps: 9000\n")
    run = api.read(tmp_path)
    assert found(run, "RES109") == ["warning"]
    assert not found(run, "RES105")  # 4,000 and 5,000 of 9,000


def test_two_runs_in_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [
        {"step": s, "loss": end + 6 * np.exp(-s / 400) + rng.normal(0, 0.02), "lr": lr}
        for lr, end in ((6e-4, 2.0), (6e-3, 3.0))
        for s in range(0, 3000, 10)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(json.dumps(r) for r in rows) + "\n")
    assert found(api.read(tmp_path), "RES111") == ["warning"]


@pytest.mark.parametrize(("settings", "state"), [
    ({"max_steps": 5000, "warmup_steps": 20_000}, "warning"),
    ({"max_steps": 5000, "warmup_updates": 5000}, "warning"),
    ({"max_steps": 50_000, "warmup_steps": 20_000}, "pass"),  # on its way
    ({"max_steps": 5000}, "not checked"),
])  # fmt: skip
def test_a_warm_up_that_takes_the_whole_run(settings: dict[str, float], state: str) -> None:
    rate = 3e-4 * np.arange(1, 5001) / 20_000
    stage = examples.stage(loss=examples.decay(5000), lr=rate, settings=settings)
    (outcome,) = engine.judge(examples.run(stage), rules=[RULES["LR107"]])
    assert outcome.state == state


@pytest.mark.parametrize(("running_total", "skipped_to", "levels"), [
    (True, 3000, ["critical"]),
    (False, 3000, ["critical"]),
    (True, 2600, ["warning"]),
    (True, 2000, []),
])  # fmt: skip
def test_skipped_steps(running_total: bool, skipped_to: int, levels: list[str]) -> None:
    """From step 2,000 on every step is skipped; ten steps lie between two points."""
    steps = np.arange(10, 3001, 10)
    each = np.where((steps > 2000) & (steps <= skipped_to), 10.0, 0.0)
    count = np.cumsum(each) if running_total else each
    loss = np.where(each > 0, np.nan, examples.decay(300))
    stage = examples.stage(steps=steps, loss=loss, skipped_iterations=count)
    assert found(examples.run(stage), "LOSS134") == levels


def test_a_run_ends_where_its_last_curve_ends() -> None:
    """A loss that is missing at the end (every step was skipped) does not shorten the run."""
    loss = np.where(np.arange(1000) < 700, examples.decay(1000), np.nan)
    stage = examples.stage(loss=loss[:700], lr=1e-3, steps=np.arange(700), settings={"max_steps": 1000})
    assert found(examples.run(stage), "RES105") == ["warning"]
    longer = examples.stage(loss=loss, grad_norm=np.ones(1000), settings={"max_steps": 1000})
    assert not found(examples.run(longer), "RES105")
