"""Columns that are the target in another form, and columns that only look like it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import runvet

Columns = dict[str, npt.NDArray[np.float64]]
N = 400


def _churn(seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, N)
    held = {f"usage_{i}": rng.normal(0.4 * i * y, 1) for i in range(4)}
    return {"customer_id": np.arange(N), **held, "age": rng.integers(18, 80, N), "churn": y}


def _houses(seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    size, rooms, year = rng.uniform(40, 200, N), rng.integers(1, 7, N), rng.integers(1900, 2020, N)
    price = 2000 * size + 9000 * rooms + 100 * (year - 1900) + rng.normal(0, 20_000, N)
    return {"size": size, "rooms": rooms, "year": year, "price": np.round(price)}


def _check(folder: Path, columns: Columns, config: str, name: str = "data/train.csv") -> dict[str, str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*([f"{v:.6g}" for v in c] for c in columns.values()), strict=True))
    (folder / "config.yaml").write_text("epochs: 20\nlr: 0.01\n" + config)
    rows = [{"epoch": e, "train_loss": 1 / (e + 2), "val_loss": 1 / (e + 2) + 0.01} for e in range(20)]
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return {f.rule: f.severity for f in runvet.check(folder).findings if f.rule == "DATA114"}


def _with(make: Callable[[], Columns], name: str, how: Callable[[npt.NDArray[np.float64]], npt.ArrayLike]) -> Columns:
    """A table with one more column, made of its target (the last column)."""
    columns = make()
    return {name: np.asarray(how(np.asarray(next(reversed(columns.values())), np.float64))), **columns}


SICK: dict[str, tuple[Columns, str]] = {
    "a class with other numbers": (_with(_churn, "calls_after_exit", lambda y: 7 - 5 * y), "target: churn\n"),
    "a class with noise": (_with(_churn, "refund", lambda y: 80 * y + np.random.default_rng(1).normal(0, 1, N)), "label_column: churn\n"),
    "another unit": (_with(_houses, "value_eur", lambda y: 0.92 * y), "target: price\n"),
    "a logarithm": (_with(_houses, "log_price", np.log), "data:\n  target_col: price\n"),
    "ranks": (_with(_houses, "tax_band", lambda y: np.argsort(np.argsort(y)) + 0.5), "target: price\n"),
}  # fmt: skip

HEALTHY: dict[str, tuple[Columns, str]] = {
    "nothing": (_churn(), "target: churn\n"),
    "nothing continuous": (_houses(), "target: price\n"),
    "one-hot": (_with(_churn, "churn_onehot_1", lambda y: y), "target: churn\n"),
    "an id of the class": (_with(_churn, "class_id", lambda y: y + 10), "target: churn\n"),
    "a weight by class": (_with(_churn, "sample_weight", lambda y: 1 + 9 * y), "target: churn\n"),
    "dropped by the settings": (_with(_houses, "log_price", np.log), "target: price\ndrop_columns: [log_price]\n"),
    "not among the features": (_with(_houses, "log_price", np.log), "target: price\nfeatures: [size, rooms, year]\n"),
    "the value before": (_with(lambda: {**_houses(), "price": np.cumsum(np.random.default_rng(2).normal(0, 1, N)) + 5000}, "lag_1", lambda y: np.r_[y[0], y[:-1]]), "target: price\n"),
    "a total that rises with time": (_with(lambda: {**_houses(), "total": np.cumsum(_houses()["price"])}, "day", lambda y: np.arange(len(y)) * 1.5), "target: total\n"),
    "predictions": (_with(_churn, "prob", lambda y: 0.02 + 0.96 * y), "target: churn\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_a_column_that_is_the_target(tmp_path: Path, name: str) -> None:
    assert _check(tmp_path, *SICK[name]) == {"DATA114": "warning"}


def test_a_listed_feature_is_critical(tmp_path: Path) -> None:
    columns, config = SICK["another unit"]
    assert _check(tmp_path, columns, config + "features: [size, rooms, value_eur]\n") == {"DATA114": "critical"}


@pytest.mark.parametrize("name", HEALTHY)
def test_columns_that_only_look_like_it(tmp_path: Path, name: str) -> None:
    assert _check(tmp_path, *HEALTHY[name]) == {}


@pytest.mark.parametrize("name", ["data/val.csv", "results/predictions_train.csv", "notes.csv"])
def test_other_tables_are_left_alone(tmp_path: Path, name: str) -> None:
    assert _check(tmp_path, *SICK["another unit"], name=name) == {}
