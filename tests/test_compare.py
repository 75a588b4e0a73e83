"""`runvet compare`: no difference where there is only noise, and the real ones found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet import read
from runvet.api import judge
from runvet.comparison import Comparison, compare, curve, settings_of
from runvet.run import Run, Series, Setting, Stage
from test_cli import runvet

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"


def series(
    value: np.ndarray, *, step: np.ndarray | None = None, name: str = "train/loss", direction: str = "down"
) -> Series:
    n = len(value)
    nan = np.full(n, np.nan)
    x = np.arange(n, dtype=np.float64) if step is None else step.astype(np.float64)
    zero = np.zeros(n, np.int64)
    return Series(
        name,
        value.astype(np.float64),
        x,
        nan,
        nan,
        zero,
        zero,
        zero,
        ("log",),
        n,
        0,
        float(value.min()),
        float(value.max()),
        role="train_loss",
        direction=direction,
    )  # type: ignore[arg-type]


def loss(seed: int, n: int, *, level: float = 1.0, noise: float = 0.05, smooth: int = 1) -> np.ndarray:
    """A power law towards `level` with white noise, or noise averaged over `smooth` points."""
    rng = np.random.default_rng(seed)
    wander = rng.normal(0, noise, n + smooth - 1)
    return level * (1 + 2 / (1 + np.arange(n) / (n / 20))) + np.convolve(wander, np.ones(smooth) / smooth, "valid")


@pytest.mark.slow
# Of correlated noise fewer points than 200 cannot be told from a drift.
@pytest.mark.parametrize(("n", "smooth"), [(10, 1), (30, 1), (200, 1), (3000, 1), (200, 8), (3000, 8)])
def test_twins_with_other_seeds_do_not_differ(n: int, smooth: int) -> None:
    seeds = 400
    outcomes = [
        curve(series(loss(2 * s, n, smooth=smooth)), series(loss(2 * s + 1, n, smooth=smooth))).outcome
        for s in range(seeds)
    ]
    assert outcomes.count("no difference") >= 0.99 * seeds


@pytest.mark.parametrize(("n", "noise"), [(30, 0.02), (200, 0.05), (3000, 0.2)])
def test_ten_percent_are_found(n: int, noise: float) -> None:
    seeds = 100
    for level, wanted in ((0.9, "better"), (1.1, "worse")):
        found = [
            curve(series(loss(2 * s, n, noise=noise)), series(loss(2 * s + 1, n, level=level, noise=noise)))
            for s in range(seeds)
        ]
        assert [c.outcome for c in found].count(wanted) >= 0.95 * seeds  # type: ignore[arg-type]
        assert np.median([c.relative for c in found]) == pytest.approx(level - 1, abs=0.01)


def test_up_is_better_where_it_is() -> None:
    a, b = (
        series(1 - loss(i, 500, level=level), name="accuracy", direction="up") for i, level in enumerate((1.0, 0.8))
    )
    assert curve(a, b).outcome == "better"
    assert curve(b, a).outcome == "worse"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=120), st.integers(0, 2**32 - 1))
def test_a_run_is_itself(values: list[float], seed: int) -> None:
    one = series(np.array(values))
    told = curve(one, one)
    assert told.outcome in ("no difference", "too few points")
    assert told.difference in (0.0, None)
    other = series(np.random.default_rng(seed).permutation(np.array(values)))
    there, back = curve(one, other), curve(other, one)
    opposite = {"better": "worse", "worse": "better"}
    assert opposite.get(there.outcome, there.outcome) == back.outcome


def test_runs_logged_at_other_steps_are_compared_at_equal_ones() -> None:
    n = 4000
    step = np.arange(n)
    a, b = loss(1, n), loss(2, n, level=0.9)
    sparse = series(b[::7], step=step[::7])
    told = curve(series(a), sparse)
    assert told.outcome == "better"
    assert told.relative == pytest.approx(-0.1, abs=0.01)
    short = curve(series(a), series(b[:1000], step=step[:1000]))
    assert (short.start, short.end) == (pytest.approx(749, abs=1), 999)


def test_who_reaches_whose_best_when() -> None:
    n = 2000
    told = curve(series(loss(1, n)), series(loss(2, n, level=0.5)))
    assert told.reaches_other_best is None
    assert told.reaches_base_best is not None
    assert told.reaches_base_best < n / 4


def run(settings_: dict[str, object]) -> Run:
    return Run("run", (Stage("s", "", (), (), tuple(Setting(k, v, "config.yaml") for k, v in settings_.items())),))  # type: ignore[arg-type]


def test_settings_and_their_noise() -> None:
    same = {"batch_size": 8, "model.depth": 4}
    told, count = settings_of(
        run(
            {
                **same,
                "lr": 0.1,
                "data_dir": "/a",
                "start_time": "2026-01-02 10:00:00",
                "resume": "runs/a/last.pt",
                "only_base": 1,
            }
        ),
        run(
            {
                **same,
                "lr": 0.2,
                "data_dir": "/b",
                "start_time": "2026-01-03 10:00:00",
                "resume": "runs/b/last.pt",
                "only_other": None,
            }
        ),
    )
    assert count == 2
    assert [(d.key, d.missing) for d in told if not d.noise] == [
        ("lr", ""),
        ("only_base", "other"),
        ("only_other", "base"),
    ]
    assert {d.key for d in told if d.noise} == {"data_dir", "start_time", "resume"}
    assert settings_of(run({"a": 1}), run({"a": 1.0})) == ((), 1)


def compared(base: str, other: str) -> Comparison:
    a, b = read(EXAMPLES / base), read(EXAMPLES / other)
    return compare(a, b, judge(a), judge(b))


def test_examples() -> None:
    told = compared("healthy", "diverging")
    assert {c.name: c.outcome for c in told.curves}["train/loss"] == "worse"
    assert "LOSS101" in {f.rule for f in told.only_other}
    assert {"lr_shape", "grad_clip"} <= {d.key for d in told.settings}
    itself = compared("healthy", "healthy")
    assert not itself.only_base
    assert not itself.only_other
    assert not itself.settings
    assert {c.outcome for c in itself.curves} == {"no difference"}
    assert {s.ratio for s in itself.speed} == {1.0}


def test_command_line(tmp_path: Path) -> None:
    status, out, err = runvet("compare", EXAMPLES / "healthy", EXAMPLES / "diverging", EXAMPLES / "overfitted")
    assert (status, err) == (0, "")
    assert out.index("Settings") < out.index("Curves") < out.index("Speed") < out.index("Findings")
    assert max(map(len, out.splitlines())) <= 100
    status, out, _ = runvet("compare", EXAMPLES / "healthy", EXAMPLES / "diverging", "--format", "json")
    (one,) = json.loads(out)["comparisons"]
    assert one["other_verdict"] == "critical"
    assert status == 0
    assert runvet("compare", EXAMPLES / "healthy", tmp_path / "none")[0] == 2
    (tmp_path / "train.log").write_text("nothing\n", encoding="utf-8")
    assert "no metric in common" in runvet("compare", EXAMPLES / "healthy", tmp_path)[2]
