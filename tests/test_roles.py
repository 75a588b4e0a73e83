"""What names of metrics mean: one row for every way of naming things that tools have."""

from __future__ import annotations

import numpy as np
import pytest

from runvet import examples
from runvet.roles import assign, meaning


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("loss", "train_loss"),
        ("valLoss", "val_loss"),
        ("cv_loss", "val_loss"),
        ("Validation-cross-entropy", "val_loss"),
        ("train_loss_epoch", "train_loss"),
        ("eval-mlogloss", "val_loss"),
        ("training's binary_logloss", "train_loss"),
        ("val/ce-mean-words", "val_loss"),
        ("Cost", "train_loss"),
        ("lm loss PPL", "perplexity"),
        ("value_loss", "loss_term"),
        ("loss/value", "loss_term"),
        ("dice_loss", "loss_term"),
        ("loss_iou", "loss_term"),
        ("accuracy_loss", "loss_term"),
        ("entropy_loss", "loss_term"),
        ("actor/entropy", "entropy"),
        ("action_entropy", "entropy"),
        ("mIoU", "metric"),
        ("val/meanIoU", "val_metric"),
        ("bbox_mAP_50", "metric"),
        ("metrics/mAP50-95(B)", "metric"),
        ("eval_precision", "val_metric"),
        ("aAcc", "accuracy"),
        ("batch_cost", "step_time"),
        ("avg_reader_cost", "data_time"),
        ("time_this_iter_s", "step_time"),
        ("train_step_timing in s", "step_time"),
        ("ips", "throughput"),
        ("L.r", "lr"),
        ("rew", "reward"),
        ("optim0_lr0", "lr"),
        ("训练损失", "train_loss"),
        ("验证准确率", "val_accuracy"),
        ("学习率", "lr"),
        ("検証損失", "val_loss"),
        ("학습 손실", "train_loss"),
        ("Потери на валидации", "val_loss"),
        ("perte d'entraînement", "train_loss"),
        ("Validierungsverlust", "val_loss"),
        ("pérdida de validación", "val_loss"),
        ("précision", "accuracy"),
    ],
)
def test_names_have_roles(name: str, role: str) -> None:
    assert meaning(name)[0] == role


@pytest.mark.parametrize("name", ["dice_loss", "loss_iou", "val_f1_loss"])
def test_a_loss_named_after_a_score_falls(name: str) -> None:
    assert meaning(name)[1] == "down"


def roles(**values: np.ndarray) -> dict[str, str | None]:
    """The roles of the series of one stage, by name."""
    return {s.name: s.role for s in assign(examples.stage(**values).series)}


def test_a_loss_called_by_its_model_is_the_total_where_no_other_is() -> None:
    curve = examples.decay(20)
    assert roles(lm_loss=curve, load_balancing_loss=curve)["lm_loss"] == "train_loss"
    assert roles(lm_loss=curve, loss=curve)["lm_loss"] == "loss_term"
    assert roles(avr_loss=curve)["avr_loss"] == "train_loss"
    assert roles(mel_loss=curve, dur_loss=curve)["mel_loss"] == "loss_term"
    assert roles(policy_loss=curve)["policy_loss"] == "loss_term"


def test_cost_beside_a_loss_is_a_time() -> None:
    curve = examples.decay(20)
    assert roles(cost=curve, loss=curve)["cost"] == "clock"
    assert roles(cost=curve)["cost"] == "train_loss"


def test_a_bare_rate_below_one_is_the_learning_rate() -> None:
    assert roles(rate=examples.decay(20, start=1e-2, end=1e-3))["rate"] == "lr"
    assert roles(rate=examples.decay(20, start=500.0, end=400.0))["rate"] is None


def test_bare_names_of_splits_are_losses_unless_they_rise() -> None:
    curve = examples.decay(40)
    assert roles(learn=curve, test=curve) == {"learn": "train_loss", "test": "test_loss"}
    assert roles(learn=1 - curve / 10, test=curve) == {"learn": None, "test": None}
    assert roles(loss=curve, train=curve)["train"] is None


def test_an_error_of_training_is_the_loss_where_there_is_no_other() -> None:
    falling = examples.decay(50)
    boosted = {"train-rmse": falling, "eval-rmse": falling, "train-mae": falling, "eval-mae": falling}
    assert roles(**boosted) == {
        "train-rmse": "train_loss",
        "eval-rmse": "val_loss",
        "train-mae": "train_error",
        "eval-mae": "val_error",
    }
    assert roles(**boosted, loss=falling)["train-rmse"] == "train_error"
    assert roles(**{"eval-rmse": falling})["eval-rmse"] == "val_error"
    assert roles(**{"train-wer": falling})["train-wer"] == "train_error"  # nobody minimises it
