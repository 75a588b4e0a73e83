"""Scores at chance, for any number of classes and for scores whose chance level does not depend on it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from runvet import engine, examples
from runvet.rules.loss import _chance
from runvet.run import Stage

RULES = [r for r in engine.collect() if r.code in ("LOSS106", "LOSS127")]
RNG = np.random.default_rng(3)
LOSS = examples.decay(40, start=2.3, end=0.05)
RISE = np.linspace(0.2, 0.98, 40)


def found(**given: Any) -> dict[str, str]:
    stage: Stage = examples.stage(**given)
    return {o.rule.code: o.state for o in engine.judge(examples.run(stage), rules=RULES) if o.findings}


@pytest.mark.parametrize("level", [0.58, 0.62, 0.66, 0.7])
def test_a_hard_binary_task_is_above_chance(level: float) -> None:
    score = level + 0.008 * RNG.standard_normal(40)
    loss = examples.decay(40, start=0.69, end=0.62)
    assert not found(train_loss=loss, val_acc=score, settings={"num_labels": 2})
    assert not found(train_loss=LOSS, train_acc=RISE, val_acc=score, settings={"num_labels": 2})


def test_two_classes_at_a_coin_toss() -> None:
    score = 0.5 + 0.01 * RNG.standard_normal(40)
    told = found(train_loss=LOSS, train_acc=RISE, val_acc=score, settings={"num_labels": 2})
    assert told.get("LOSS127") == "critical"


def test_one_metric_above_chance_clears_the_data() -> None:
    score = 0.1 + 0.004 * RNG.standard_normal(40)
    settings = {"num_classes": 10}
    assert not found(
        train_loss=LOSS, train_acc=RISE, val_acc=score, val_auc=np.linspace(0.5, 0.8, 40), settings=settings
    )
    assert "LOSS127" in found(train_loss=LOSS, train_acc=RISE, val_acc=score, settings=settings)


def test_without_proof_that_training_learned_nothing_is_said_of_the_data() -> None:
    score = 0.1 + 0.004 * RNG.standard_normal(40)
    flat = examples.level(40, math.log(10), noise=0.002)
    assert "LOSS127" not in found(train_loss=flat, train_acc=score, val_acc=score, settings={"num_classes": 10})


def test_correlations_warn() -> None:
    kappa = 0.01 * RNG.standard_normal(40)
    assert found(train_loss=LOSS, train_kappa=RISE, val_kappa=kappa) == {"LOSS127": "warning"}
    assert not found(train_loss=LOSS, train_kappa=RISE, val_kappa=kappa + 0.08)


@pytest.mark.parametrize(
    ("name", "area"),
    [("val_auc", True), ("AUROC", True), ("val/roc_auc", True), ("val_prauc", False), ("auc_pr", False), ("aucpr", False), ("caucus", False)],
)  # fmt: skip
def test_areas_under_the_curve(name: str, area: bool) -> None:
    stage = examples.stage(**{name.replace("/", "__"): [0.5, 0.6]})
    assert _chance.is_auc(stage.series[0]) == area
