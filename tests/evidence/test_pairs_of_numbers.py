"""Predictions, printed ranges, masks and parity: the numbers that rules rely on."""

from __future__ import annotations

import numpy as np
import pytest

from runvet import engine, examples
from runvet import examples_artifacts as made
from runvet.config import Config
from runvet.evidence import Missing
from runvet.evidence.masks import Masks
from runvet.evidence.parity import Parities, worst
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.evidence.ranges import RangeLines, ranges_in
from runvet.run import Run


def evidence(run: Run, kind: type):
    return engine.Evidence(run, Config()).get(kind, run.stages[0])


def pair(pred: np.ndarray, true: np.ndarray) -> Pair:
    return Pair("x", "x.npz", pred, true, pred.shape[1:])


def test_the_numbers_of_a_pair() -> None:
    rng = np.random.default_rng(0)
    t = rng.normal(5, 3, (500, 2))
    good, mean, tenth = pair(t, t), pair(np.tile(t.mean(axis=0), (500, 1)), t), pair(0.1 * t, t)
    assert good.r2 == 1
    assert good.slope == pytest.approx(1)
    assert good.shuffled == np.inf
    assert mean.r2 == pytest.approx(0)
    assert mean.correlation == pytest.approx(0, abs=1e-9)
    assert mean.shuffled == 1
    assert mean.spread[0] == 0
    assert tenth.correlation == pytest.approx(1)
    assert tenth.slope == pytest.approx(0.1)
    assert tenth.spread[0] / tenth.spread[1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "files",
    [
        {"predictions.npz": {"pred": made.truth(30), "gt": made.truth(30)}},
        {"x/y_pred.npy": {"array": made.truth(30)}, "x/y_true.npy": {"array": made.truth(30)}},
        {"eval_results.json": [{"prediction": [1.0, float(i)], "target": [2.0, float(i)]} for i in range(30)]},
        {"preds.csv": {"pred": list(range(30)), "gt": list(range(30))}},
    ],
)
def test_predictions_are_found_wherever_they_are(files: dict) -> None:
    found = evidence(made.with_files(files), Predictions)
    assert [p.n for p in found.pairs] == [30]


def test_classes_and_tokens_are_no_regression() -> None:
    rng = np.random.default_rng(0)
    tokens, classes = rng.integers(0, 5000, (60, 9)), rng.integers(0, 9, 60)
    for pred, gt in (
        (rng.permutation(tokens), tokens),
        (rng.random(60), classes),
        (rng.random((60, 9)), np.eye(9)[classes]),
    ):
        found = evidence(made.with_files({"predictions.npz": {"pred": pred, "gt": gt}}), Predictions)
        assert len(found.pairs) == 1
        assert judged(found.pairs) == []


def test_data_alone_hold_no_predictions() -> None:
    files = made.grids("dataset", [made.tree(i) for i in range(3)]) | {
        "data/x.npz": {"x": made.truth(30), "y": made.truth(30)}
    }
    assert isinstance(evidence(made.with_files(files), Predictions), Missing)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("[Range] GT: [-137.3, 54.0] | Pred: [-10.1, 20.2] | Loss: 66.8", ((-137.3, 54.0), (-10.1, 20.2))),
        ("pred range (0.1, 0.9), target range (-3, 4e2)", ((-3, 400), (0.1, 0.9))),
        ("Range target=[1 9] output=[2 3]", ((1, 9), (2, 3))),
        ("[Range] GT: [1, 1] | Pred: [0, 2]", None),
        ("range of inputs: [0, 1]", None),
    ],
)
def test_printed_ranges(line: str, found: tuple | None) -> None:
    assert ranges_in(line) == found


def test_a_printed_point_is_no_range() -> None:
    events = [examples.event("range", "[Debug T=4.5s] GT: [-59.74, -13.77] | Pred: [-9.20, -4.93]")] * 9
    assert isinstance(
        evidence(examples.run(examples.stage(loss=examples.decay(9), events=events)), RangeLines), Missing
    )


def test_ranges_from_curves() -> None:
    stage = examples.stage(loss=examples.decay(40), pred_std=np.full(40, 3.0), gt_std=np.full(40, 40.0))
    found = evidence(examples.run(stage), RangeLines)
    assert found.ratio == pytest.approx(np.full(40, 3 / 40))


def test_masks_from_summaries_curves_and_arrays() -> None:
    run = made.with_files({"eval/summary.json": {"a": {"pred_mask_mean": 0.01, "gt_mask_mean": 0.331}}})
    (mask,) = evidence(run, Masks).masks
    assert (mask.pred, mask.true, mask.where) == (0.01, 0.331, "eval/summary.json")
    stage = examples.stage(loss=examples.decay(40), pred_mask_mean=np.full(40, 0.2), gt_mask_mean=np.full(40, 0.3))
    assert evidence(examples.run(stage), Masks).masks[0].true == 0.3
    true = (np.random.default_rng(0).random((9, 64)) < 0.2).astype(float)
    (mask,) = evidence(made.with_files({"p.npz": {"pred": 0.9 * true, "gt": true}}), Masks).masks
    assert mask.iou == 1.0
    assert isinstance(evidence(made.with_files({"eval/summary.json": {"loss": 0.1}}), Masks), Missing)


def test_parity_tells_scale_offset_and_rounding() -> None:
    a = made.truth(50, 8, scale=3.0, offset=10.0)

    def compared(b: np.ndarray):
        return evidence(
            made.with_files({"parity/train_preds.npz": {"x": a}, "parity/inference_preds.npz": {"x": b}}), Parities
        ).all[0]

    assert not worst(compared(a))
    assert not worst(compared(a.astype(np.float16)))
    (scaled,) = worst(compared(2 * a))
    assert scaled.ratio == pytest.approx(2)
    (moved,) = worst(compared(a + 6))
    assert moved.offset == pytest.approx(2, rel=0.1)
    broken = a.copy()
    broken[:5] = np.nan
    assert worst(compared(broken))


def test_training_data_are_no_parity() -> None:
    files = {
        "data/train/x.npz": {"x": made.truth(9)},
        "data/test/x.npz": {"x": made.truth(9)},
        "data/inference/x.npz": {"x": made.truth(9)},
    }
    assert isinstance(evidence(made.with_files(files), Parities), Missing)
