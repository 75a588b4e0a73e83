"""DATA108 imbalanced-classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.artifacts.profile import Profile
from runvet.evidence.datasets import DataSets
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run, Series, Stage

FAIR = ("balanced", "macro", "auc", "auroc", "f1", "recall", "mcc", "kappa", "iou", "map", "per_class", "ap")


@rule("DATA108", "imbalanced-classes", level="warning", since="0.1")
def imbalanced_classes(
    data: DataSets, stage: Stage, *, majority: float = 0.9, improbable: float = 0.001, least: float = 0.02
) -> Sick | Unsure | None:
    """One class is nearly all of the data and accuracy is the metric, or validation lacks a class.

    ## What it checks
    Class counts of data sets with at least 50 labelled items. A warning where one class makes up 90 % and the log holds
    an accuracy but no metric that weighs classes (F1, AUC, recall, balanced accuracy, …); and where a class of at least
    2 % of training is missing from validation, which chance would do less than once in a thousand times. Long tails
    alone are silent: most natural data have one.
    ## Why it matters
    Answering the most frequent class everywhere gets 90 % right; a class that validation lacks is never measured.
    ## What to do
    Log recall for each class, or balanced accuracy. Split stratified by class.
    ## When to ignore it
    The accuracy is already over balanced batches; validation is another task on purpose.
    ## Known limits
    Classes are told by folders, file names, side-cars or an array of labels; others are not known.
    ## References
    - Brodersen et al. 2010, The balanced accuracy and its posterior distribution, doi 10.1109/ICPR.2010.764.
    """
    judged = False
    for found in data.profiles:
        labels = found.labels
        told = sum(labels.values())
        if len(labels) < 2 or told < 50 or told < 0.9 * len(found.items):
            continue
        judged = True
        missing = _missing(found, least, improbable)
        if missing is not None:
            return missing
        label, count = next(iter(labels.items()))
        accuracy = _accuracy(stage)
        if count >= majority * told and accuracy is not None:
            return _skewed(found, label, count / told, accuracy)
    return None if judged else Unsure("no data with class labels", "keep items in a folder for each class")


def _accuracy(stage: Stage) -> Series | None:
    """A logged accuracy where no metric that weighs classes stands beside it."""
    if any(word in s.name.lower() for s in stage.series for word in FAIR):
        return None
    return next((s.finite() for s in stage.role("val_accuracy", "accuracy", "train_accuracy") if len(s.finite())), None)


def _missing(found: Profile, least: float, improbable: float) -> Sick | None:
    train = Counter(i.label for i in found.items if i.split == "train" and i.label)
    held = Counter(i.label for i in found.items if i.split == "val" and i.label)
    total, n = sum(train.values()), sum(held.values())
    if total < 50 or n < 20:
        return None
    gone = {c: k for c, k in train.items() if not held[c] and k >= least * total and (1 - k / total) ** n < improbable}
    if not gone or len(gone) == len(train):
        return None
    label, count = max(gone.items(), key=lambda pair: pair[1])
    return Sick(
        f"{len(gone)} of {len(train)} classes of {found.name} are missing from validation: {label} has {count} of {total} training items and none of {n} held-out ones",
        evidence=(
            Measure(f"training items of {label}", count, f"of {total}"),
            Measure(f"held-out items of {label}", 0, f"of {n}"),
            Measure("chance of that in a random split", float(f"{(1 - count / total) ** n:.2g}")),
        ),
        innocent="validation is another task on purpose",
        actions=(Action("Split again, stratified by class", "a restart", "repair"),),
    )


def _skewed(found: Profile, label: str, share: float, accuracy: Series) -> Sick:
    last = float(accuracy.last)
    return Sick(
        f"{percent(share)} of {found.name} is of class {label}: answering it everywhere gets an accuracy of {share:.4f}, and {accuracy.name} is {last:.6g}",
        evidence=(
            Measure(f"share of class {label}", round(share, 4), None, f"{len(found.items)} items"),
            Measure(f"last {accuracy.name}", last, None, accuracy.where(len(accuracy) - 1)),
        ),
        innocent="the accuracy is over balanced batches",
        actions=(Action("Log recall for each class, or balanced accuracy", "a few lines", "measure"),),
    )


def _set(counts: dict[str, int], split: str = "train") -> dict[str, dict[str, Array]]:
    out: dict[str, dict[str, Array]] = {}
    for number, (label, n) in enumerate(counts.items()):
        scenes = [made.scene(1000 * number + i + (500 if split == "val" else 0), size=24) for i in range(n)]
        out |= made.pictures(f"data/{split}/{label}", scenes)
    return out


def sick() -> Iterator[Run]:
    """95 % of one class with an accuracy; a class that validation lacks."""
    yield made.with_files(_set({"sound": 95, "cracked": 5}), loss=examples.decay(300), val_accuracy=np.linspace(0.9, 0.95, 30))  # fmt: skip
    yield made.with_files(_set({"cat": 40, "dog": 40, "owl": 30}) | _set({"cat": 15, "dog": 15}, "val"))


def healthy() -> Iterator[Run]:
    """A long tail; one class nearly everywhere, with F1; a rare class that a small validation happens to lack."""
    tail = {f"k{'abcdefgh'[i]}": n for i, n in enumerate((40, 20, 12, 8, 5, 3, 2, 2))}
    yield made.with_files(_set(tail), loss=examples.decay(300), val_accuracy=np.linspace(0.2, 0.7, 30))
    yield made.with_files(_set({"sound": 95, "cracked": 5}), loss=examples.decay(300), val_accuracy=np.linspace(0.9, 0.96, 30), val_f1=np.linspace(0.1, 0.7, 30))  # fmt: skip
    yield made.with_files(_set({"cat": 40, "dog": 40, "owl": 2}) | _set({"cat": 15, "dog": 15}, "val"))
