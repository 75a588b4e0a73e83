"""What was NaN each time it was logged: told where it was to be measured, left alone where a logger writes NaN by design."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runvet import engine, examples
from runvet.run import Stage

RULES = [r for r in engine.collect() if r.code in ("LOG101", "LOG109")]
RISE = np.linspace(0.3, 0.8, 40)
NEVER = np.full(40, np.nan)
LOSS = examples.decay(400)


def states(stage: Stage) -> dict[str, str]:
    return {o.rule.code: o.state for o in engine.judge(examples.run(stage), rules=RULES)}


@pytest.mark.parametrize(
    "series",
    [
        {"val__dice_liver": RISE, "val__dice_tumour": NEVER},
        {"bbox__AP": RISE, "bbox__APs": NEVER},
        {"loss_ctc": np.full(400, np.nan), "val__acc": RISE, "val__cer_ctc": NEVER},
        {"val__acc": RISE, "val__wer": NEVER, "val__cer": NEVER},
        {"val__acc": RISE, "test__acc": NEVER},
        {"val__acc": RISE, "train__auc": np.full(400, np.nan)},
    ],
    ids=["class", "size", "branch", "decoded", "test", "training"],
)
def test_nan_by_design_is_only_named(series: dict[str, Any]) -> None:
    assert states(examples.stage(loss=LOSS, **series)) == {"LOG101": "pass", "LOG109": "not checked"}


def test_a_dead_gradient_is_no_logging_fault() -> None:
    flat = examples.stage(loss=examples.level(400), grad_norm=np.full(400, np.nan))
    assert states(flat) == {"LOG101": "critical", "LOG109": "pass"}


def test_a_term_beside_a_broken_total_is_broken() -> None:
    nan = np.full(400, np.nan)
    assert states(examples.stage(loss=nan, loss_aux=nan))["LOG101"] == "critical"


def test_nan_between_evaluations_is_no_end() -> None:
    sparse = np.full(60, np.nan)
    sparse[4::5] = np.linspace(0.4, 0.8, 12)
    assert states(examples.stage(loss=LOSS[:60], val_acc=sparse))["LOG101"] == "pass"
    sparse[30:] = np.nan  # evaluations that stop being numbers are another matter
    assert states(examples.stage(loss=LOSS[:60], val_acc=sparse))["LOG101"] == "warning"
