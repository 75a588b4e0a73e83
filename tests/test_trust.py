"""Which checkpoint is trusted, why, and what the actions say of it."""

from __future__ import annotations

import numpy as np
import pytest

from runvet import api, examples
from runvet.checkpoints.model import Checkpoint
from runvet.report import Report
from runvet.run import FloatArray
from runvet.trust import advise

STEPS = tuple(range(100, 1001, 100))


def judged(checkpoints: list[Checkpoint], loss: FloatArray | None = None) -> Report:
    stage = examples.stage(train_loss=examples.decay(1000) if loss is None else loss, lr=examples.cosine(1000))
    return api.judge(examples.run(stage, checkpoints=checkpoints))


def broken_from(step: int) -> FloatArray:
    loss = examples.decay(1000)
    loss[step:] = np.nan
    return loss


def trusted(report: Report) -> tuple[float | None, str]:
    assert report.trusted_checkpoint is not None
    return report.trusted_checkpoint.step, report.trusted_checkpoint.why


def test_a_healthy_run_trusts_the_newest() -> None:
    step, why = trusted(judged(examples.training(STEPS)))
    assert step == 1000
    assert why == "complete and finite, the newest; 9 others are usable: step 100, 200, 300, 5 more and 900"


def test_before_the_first_critical_loss_finding() -> None:
    step, why = trusted(judged(examples.training(STEPS), broken_from(650)))
    assert step == 600
    assert "the newest from before LOG101 non-finite-values" in why
    assert "399 steps are lost by going back to it" in why


def test_the_untrained_start_is_no_way_out() -> None:
    """Step 0 lies before every finding, and nothing was learnt by then."""
    step, why = trusted(judged(examples.training((0, 700, 900)), broken_from(650)))
    assert step == 900
    assert "its loss was already degraded (LOG101 non-finite-values since step 650)" in why


def test_weights_that_are_not_finite_or_damaged_or_hollow_are_passed_over() -> None:
    bad = {**examples.trained(900), "model.head.bias": np.full(8, np.inf, np.float32)}
    saves = [
        *examples.training((100, 200)),
        examples.checkpoint(900, bad),
        examples.checkpoint(950, {}, problems=("damaged-checkpoint",)),
        examples.checkpoint(1000, {}),
    ]
    step, why = trusted(judged(saves))
    assert step == 200
    assert "the newest usable one" in why
    assert "step 100 is the only other usable one" in why


def test_none_is_trusted_where_none_is_usable() -> None:
    report = judged([examples.checkpoint(s, {}) for s in STEPS])
    assert report.trusted_checkpoint is None
    assert "no other checkpoint is usable" in report.actions[0].do
    assert judged([]).trusted_checkpoint is None


def test_the_save_is_named_not_its_copy() -> None:
    saves = [
        *examples.training(STEPS),
        examples.checkpoint(1000, path="checkpoints/last.pt"),
        examples.checkpoint(300, path="checkpoints/best.pt"),
    ]
    report = judged(saves)
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.path == "checkpoints/step_1000.pt"


def test_values_that_nobody_read_are_not_called_finite() -> None:
    _, why = trusted(judged(examples.training(STEPS, scanned=False)))
    assert why.startswith("complete, its values were not read, the newest")


@pytest.mark.parametrize("from_step", [350, 650])
def test_an_action_keeps_the_trusted_one(from_step: int) -> None:
    report = judged(examples.training(STEPS), broken_from(from_step))
    assert report.trusted_checkpoint is not None
    step = f"{report.trusted_checkpoint.step:,.0f}"
    assert any(step in a.do for a in report.actions)
    assert [a.order for a in report.actions] == list(range(1, len(report.actions) + 1))


def test_no_action_is_added_to_a_run_that_is_not_critical() -> None:
    report = judged(examples.training(STEPS))
    assert advise(report.actions, report.trusted_checkpoint, report.verdict) == report.actions


def test_the_worst_stage_is_the_one_to_go_back_in() -> None:
    good = examples.stage(name="tokenizer", train_loss=examples.decay(1000), lr=1e-3)
    bad = examples.stage(name="dynamics", train_loss=broken_from(650), lr=1e-3)
    saves = [examples.checkpoint(s, path=f"{stage}/step_{s}.pt") for stage in ("dynamics", "tokenizer") for s in STEPS]
    report = api.judge(examples.run(good, bad, checkpoints=saves))
    assert report.trusted_checkpoint is not None
    assert report.trusted_checkpoint.path == "dynamics/step_600.pt"
