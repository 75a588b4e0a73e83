"""Actions that follow from each other: none sends to a checkpoint that cannot be used, tests come before remedies."""

from __future__ import annotations

import numpy as np

from runvet import engine, examples, verdict
from runvet import examples_artifacts as made
from runvet.api import judge
from runvet.config import Config
from runvet.report import Finding
from runvet.run import Run


def _actions(run: Run) -> list[str]:
    return [a.do for a in judge(run, Config()).actions]


def _rising(usable: set[int]) -> Run:
    loss = examples.decay(2000) + examples.rise(2000, at=0.4, size=1.5)
    saves = [
        examples.checkpoint(s) if s in usable else examples.checkpoint(s, {}, path=f"ckpt/step_{s}.pt")
        for s in range(200, 2001, 200)
    ]
    return examples.run(examples.stage(loss=loss), checkpoints=saves)


def test_going_back_names_a_checkpoint_that_can_be_used() -> None:
    back = [a for a in _actions(_rising({200, 400, 1800})) if a.startswith("Go back")]
    assert len(back) == 1
    assert "step 400" in back[0]


def test_no_checkpoint_is_named_where_none_from_before_is_left() -> None:
    told = _actions(_rising({1800}))
    assert not any(a.startswith("Go back") for a in told)
    assert any("No usable checkpoint is from before" in a and "step 1,800" in a for a in told)


def test_no_rule_sends_back_where_every_checkpoint_is_empty() -> None:
    told = _actions(_rising(set()))
    assert not any(a.startswith("Go back") for a in told)
    assert "Start anew: no checkpoint is usable" in told


def test_repaired_saving_is_proven_after_the_repair() -> None:
    told = _actions(_rising({1800}))
    repair = next(i for i, a in enumerate(told) if a.startswith("Save so that rank 0"))
    proof = next(i for i, a in enumerate(told) if a.startswith("Train 100 to 200 steps, save, restore"))
    assert told[0].startswith("Stop")
    assert 0 < repair < proof


def test_a_test_separates_data_from_optimiser_before_any_remedy() -> None:
    truth = made.truth(240, 9, scale=40.0, offset=-50.0)
    run = made.with_files({"predictions.npz": {"pred": made.truth(240, 9, scale=4.0, seed=1), "gt": truth}})
    told = _actions(run)
    assert told[0].startswith("Train on 64 samples")
    assert told[1].startswith("If 64 samples cannot be learnt: normalise")


def test_a_known_scale_is_repaired_at_once() -> None:
    truth = made.truth(240, 9, scale=40.0, offset=-50.0)
    pred = np.asarray(0.1 * truth + 0.4 * made.truth(240, 9, scale=1.0, seed=1))
    assert _actions(made.with_files({"predictions.npz": {"pred": pred, "gt": truth}}))[0].startswith("Repair the scale")


def test_what_is_wrong_with_the_result_comes_before_what_is_slow() -> None:
    quick, slow = (next(r for r in engine.collect() if r.code == code) for code in ("LOSS109", "SYS101"))
    found = verdict.findings(
        [
            engine.Outcome(slow, "main", "warning", (Finding("SYS101", "slow", "warning", "main", "", since_step=1),)),
            engine.Outcome(quick, "main", "warning", (Finding("LOSS109", "gap", "warning", "main", "", since_step=9),)),
        ]
    )
    assert [f.rule for f in found] == ["LOSS109", "SYS101"]
