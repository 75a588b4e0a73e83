"""LOSS118 best-is-degenerate."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, place
from runvet.run import Series, Stage

ONE_OF = {
    "recall": re.compile(r"recall|sensitivity|tpr", re.I),
    "precision": re.compile(r"precision|ppv", re.I),
    "f1": re.compile(r"f1|f_?score|f_?beta|dice", re.I),
}


@rule("LOSS118", "best-is-degenerate", level="critical", since="0.1")
def best_is_degenerate(stage: Stage, *, tolerance: float = 1e-4) -> Sick | Unsure | None:
    """The best evaluation by F1 is that of a model that answers "yes" to everything.

    ## What it checks
    Validation recall, precision, F1 and accuracy of the same evaluations. At the best F1 recall is 1 and precision equals the accuracy
    (or the share of positives): both hold exactly only where every sample is called positive.
    ## Why it matters
    This is the checkpoint that is kept as the best one. It does not look at its input; F1 rewards that on frequent positives.
    ## What to do
    Choose by another metric (balanced accuracy, MCC, area under the curve), or by F1 of the rarer class.
    ## When to ignore it
    Never for a model that is to be used.
    ## Known limits
    Binary tasks only; all four metrics, or precision and recall at several evaluations, must be logged.
    ## References
    - Chicco and Jurman, The advantages of the Matthews correlation coefficient over F1 score and accuracy, 2020.
    """
    recall, precision, f1 = (_find(stage, kind) for kind in ("recall", "precision", "f1"))
    accuracy = next((s for s in stage.role("val_accuracy", "test_accuracy", "accuracy")), None)
    if recall is None or precision is None or accuracy is None:
        return Unsure(
            "precision, recall and accuracy of one evaluation are not all logged",
            "log eval_precision, eval_recall, eval_accuracy and eval_f1",
        )
    if (
        not len(recall) == len(precision) == len(accuracy)
        or len(recall) < 2
        or (f1 is not None and len(f1) != len(recall))
    ):
        return Unsure("precision, recall and accuracy belong to different evaluations")
    if not all(np.isfinite(s.value).any() for s in (precision, recall, accuracy)):
        return Unsure("precision, recall or accuracy is never a finite number")
    p, r, a = (np.where(np.nanmax(s.value) > 1.5, 0.01, 1.0) * s.value for s in (precision, recall, accuracy))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = f1.value if f1 is not None else 2 * p * r / (p + r)
    if not np.isfinite(score).any():
        return None
    best = int(np.nanargmax(score))
    if not (r[best] > 1 - tolerance and abs(p[best] - a[best]) < tolerance and 0.05 < p[best] < 0.999):
        return None
    series = f1 or recall
    x = series.x()
    same = int(np.sum((np.abs(r - 1) < tolerance) & (np.abs(p - a) < tolerance)))
    return Sick(
        f"the best {series.name}, {num(float(score[best]))} at {place(series, float(x[best]))}, is that of a constant predictor: recall is 1 and precision ="
        f" accuracy = {num(float(a[best]))}, the share of positives ({same} of {len(r)} evaluations are like that)",
        (
            Measure(recall.name, float(recall.value[best]), None, recall.where(best)),
            Measure(precision.name, float(precision.value[best]), None, precision.where(best)),
            Measure(accuracy.name, float(accuracy.value[best]), None, accuracy.where(best)),
        ),
        since(series, float(x[best])),
        "a validation set that holds positives almost alone",
        (
            Action(
                "Choose the checkpoint by the area under the curve, MCC or balanced accuracy instead",
                "config",
                "change",
            ),
            Action(
                f"Do not use the checkpoint of {place(series, float(x[best]))}: it answers the same to everything",
                "now, free",
                "keep",
            ),
        ),
        guilty(series, float(x[best]), float(x[best])),
    )


def _find(stage: Stage, kind: str) -> Series | None:
    named = [
        s
        for s in stage.role("val_metric", "test_metric", "metric")
        if ONE_OF[kind].search(s.name) and "@" not in s.name
    ]
    return named[0] if len(named) == 1 else None


def sick() -> Iterator[Stage]:
    """The first evaluation calls everything positive and is never beaten by F1."""
    yield examples.stage(
        loss=examples.decay(130, start=0.7, end=0.6), val_accuracy=[0.605634, 0.605634, 0.6197], val_recall=[1.0, 0.9535, 0.8953],
        val_precision=[0.605634, 0.6119, 0.6311], val_f1=[0.754386, 0.745455, 0.740385],
    )  # fmt: skip


def healthy() -> Iterator[Stage]:
    """The same start, but a later evaluation is better; and a detector with perfect recall."""
    yield examples.stage(
        loss=examples.decay(130), val_accuracy=[0.6056, 0.71, 0.8], val_recall=[1.0, 0.9, 0.88], val_precision=[0.6056, 0.74, 0.82], val_f1=[0.754, 0.81, 0.85]
    )  # fmt: skip
    yield examples.stage(
        loss=examples.decay(130), val_accuracy=[0.8, 0.9, 0.97], val_recall=[1.0, 1.0, 1.0], val_precision=[0.7, 0.8, 0.9], val_f1=[0.82, 0.89, 0.95]
    )  # fmt: skip
