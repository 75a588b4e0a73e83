"""Repeated runs: one configuration is better only beyond what the seed changes."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from runvet import read
from runvet.compare_seeds import groups, welch
from runvet.compare_settings import is_seed
from runvet.comparison import repeats
from runvet.run import Run
from runvet.statistics import student_p
from test_cli import runvet


def write(folder: Path, *, seed: int | None, lr: float, level: float) -> Path:
    """A run of 400 steps towards `level`, with a configuration beside it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(abs(hash((seed, lr))) % 2**32)
    settings = f"lr: {lr}\nbatch_size: 8\nname: {folder.name}\n" + (f"seed: {seed}\n" if seed is not None else "")
    (folder / "config.yaml").write_text(settings, encoding="utf-8")
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["step", "train_loss"])
        for step in range(400):
            rows.writerow([step, f"{level * (1 + 2 / (1 + step / 20)) + rng.normal(0, 0.01):.5f}"])
    return folder


def runs(folder: Path, name: str, lr: float, levels: list[float]) -> list[Run]:
    return [read(write(folder / f"{name}{i}", seed=i, lr=lr, level=v)) for i, v in enumerate(levels)]


def test_a_difference_that_seeds_explain_is_none(tmp_path: Path) -> None:
    base = runs(tmp_path, "a", 0.1, [1.00, 1.05, 0.95, 1.02])
    other = runs(tmp_path, "b", 0.2, [0.97, 1.03, 0.98, 1.04])
    (effect,) = repeats(base[0], [*base[1:], *other])
    assert effect.outcome == "no difference"
    assert (len(effect.base), len(effect.other)) == (4, 4)
    assert effect.p > 0.1


def test_a_difference_beyond_seeds_is_found(tmp_path: Path) -> None:
    base = runs(tmp_path, "a", 0.1, [1.00, 1.03, 0.98, 1.02])
    other = runs(tmp_path, "b", 0.2, [0.80, 0.82, 0.79])
    (effect,) = repeats(base[0], [*other, *base[1:]])
    assert effect.outcome == "better"
    assert effect.difference == pytest.approx(-0.2, abs=0.05)
    assert effect.base_runs == tuple(r.path for r in base)
    (back,) = repeats(other[0], [*base, *other[1:]])
    assert back.outcome == "worse"
    assert back.p == pytest.approx(effect.p, rel=1e-6)


def test_two_single_runs_say_nothing_of_seeds(tmp_path: Path) -> None:
    (base,), (other,) = runs(tmp_path, "a", 0.1, [1.0]), runs(tmp_path, "b", 0.2, [0.5])
    assert repeats(base, [other]) == ()


def test_a_single_run_is_held_against_the_scatter_of_the_repeated_ones(tmp_path: Path) -> None:
    base = runs(tmp_path, "a", 0.1, [1.0, 1.04, 0.97, 1.01, 0.99])
    (inside,) = repeats(base[0], [*base[1:], *runs(tmp_path, "b", 0.2, [1.03])])
    (outside,) = repeats(base[0], [*base[1:], *runs(tmp_path, "c", 0.3, [0.7])])
    assert (inside.outcome, outside.outcome) == ("no difference", "better")


def test_what_counts_as_a_repeat(tmp_path: Path) -> None:
    one = read(write(tmp_path / "one", seed=1, lr=0.1, level=1))
    copy = read(write(tmp_path / "copy", seed=1, lr=0.1, level=1))
    again = read(write(tmp_path / "again", seed=2, lr=0.1, level=1))
    other = read(write(tmp_path / "other", seed=1, lr=0.2, level=1))
    assert [[Path(r.path).name for r in g] for g in groups([one, copy, again, other])] == [["one", "again"], ["other"]]
    free = [read(write(tmp_path / f"free{i}", seed=None, lr=0.1, level=1)) for i in range(2)]
    assert len(groups(free)) == 1, "without a known seed, equal settings are repeats"
    bare = []
    for i in range(2):
        folder = write(tmp_path / f"bare{i}", seed=None, lr=0.1, level=1)
        (folder / "config.yaml").unlink()
        bare.append(read(folder))
    assert len(groups(bare)) == 2, "where no settings are known, nothing says that two runs are repeats"


@pytest.mark.parametrize("name", ["seed", "random_seed", "train.seed", "manual_seed", "seed_everything", "data_seed"])
def test_seeds(name: str) -> None:
    assert is_seed(name)


@pytest.mark.parametrize("name", ["seeds_per_class", "speed", "proceed", "seedling", "lr"])
def test_no_seeds(name: str) -> None:
    assert not is_seed(name)


def test_welch_against_worked_numbers() -> None:
    # Two samples of which the formulas are easily worked by hand: variances 1 and 4, five values each.
    a, b = np.array([-1.265, -0.632, 0.0, 0.632, 1.265]), np.array([0.47, 1.735, 3.0, 4.265, 5.53])
    difference, error, free = welch(a, b)
    assert difference == pytest.approx(3.0)
    assert error == pytest.approx(math.sqrt(1 / 5 + 4 / 5), rel=1e-3)
    assert free == pytest.approx((0.2 + 0.8) ** 2 / (0.2**2 / 4 + 0.8**2 / 4), rel=1e-3)
    with pytest.raises(ValueError, match="two values"):
        welch(np.array([1.0]), np.array([2.0]))


# Points of Student's t from printed tables (two-sided).
@pytest.mark.parametrize(
    ("t", "free", "p"), [(12.706, 1, 0.05), (2.776, 4, 0.05), (3.169, 10, 0.01), (2.042, 30, 0.05)]
)
def test_student(t: float, free: float, p: float) -> None:
    assert student_p(t, free) == pytest.approx(p, rel=2e-3)
    assert student_p(-t, free) == student_p(t, free)
    assert student_p(0.0, free) == 1.0


@pytest.mark.slow
def test_how_often_seeds_alone_are_called_a_difference() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(4000):
        a, b = rng.normal(0, 1, 4), rng.normal(0, 1, 4)
        difference, error, free = welch(a, b)
        wrong += student_p(difference / error, free) < 0.01
    assert 0.002 * 4000 < wrong < 0.013 * 4000


def test_command_line(tmp_path: Path) -> None:
    for name, lr, level in (("a", 0.1, 1.0), ("b", 0.2, 0.7)):
        for seed in range(3):
            write(tmp_path / f"{name}{seed}", seed=seed, lr=lr, level=level + 0.01 * seed)
    paths = [tmp_path / f"{name}{seed}" for name in "ab" for seed in range(3)]
    status, out, err = runvet("compare", *paths)
    assert (status, err) == (0, "")
    assert "base, 3 runs" in out
    assert out.index("Repeated runs") < out.index("Settings")
    repeated = json.loads(runvet("compare", *paths, "--format", "json")[1])["repeats"]
    assert [(e["name"], e["outcome"]) for e in repeated] == [("train_loss", "better")]
    assert "That one configuration is better is not shown" in " ".join(runvet("compare", paths[0], paths[3])[1].split())
