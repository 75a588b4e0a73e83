"""Scores at chance: what a model reaches that does not use its input, and whether a curve ever left that level."""

from __future__ import annotations

import math
import re

import numpy as np

from runvet.evidence.vocabulary import Vocabulary
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import finite_values, noise

FEWEST = 5  # evaluations below which nothing can be said
# Scores whose chance level is the same for any number of classes and any mix of them.
_AUC = re.compile(r"(?<![a-z])(?:auc|auroc|auc_?roc|roc_?auc)(?![a-z])|auc$", re.IGNORECASE)
_PRECISION = re.compile(
    r"(?<![a-z])prc?(?![a-z])|aupr|aucpr|prauc", re.IGNORECASE
)  # at chance it is the share of positives
_ZERO = re.compile(
    r"(?<![a-z])(?:mcc|matthews\w*|kappa|cohen\w*|r2|r2_?score|r_squared|pearson\w*|spearman\w*)(?![a-z])",
    re.IGNORECASE,
)


def is_auc(series: Series) -> bool:
    """Whether a score is the area under the receiver operating characteristic."""
    return bool(_AUC.search(series.name)) and not _PRECISION.search(series.name)


def has_zero_chance(series: Series) -> bool:
    """Whether a score is a correlation, or one like it: 0 where nothing is learned."""
    return bool(_ZERO.search(series.name))


def scores(stage: Stage) -> tuple[Series, ...]:
    """Accuracies and areas under a curve, those of evaluations first."""
    roles = tuple(f"{split}{kind}" for kind in ("accuracy", "metric") for split in ("val_", "test_", "", "train_"))
    return tuple(s for s in stage.role(*roles) if "accuracy" in (s.role or "") or is_auc(s))


def scaled(series: Series) -> FloatArray:
    """The finite values as shares of 1, of per cent too."""
    v = finite_values(series.value)
    return v / 100.0 if len(v) and v.max() > 1.5 else v


def chance(series: Series, vocabulary: Vocabulary | None) -> str | None:
    """What chance level a metric keeps to over its whole length, or None.

    A score among K classes may lie a third above 1/K, three points at most: twice that for a single evaluation. Between two
    classes, one that gains beyond its noise is not at chance, however little it gains: some targets hardly can be told.
    """
    v = scaled(series)
    if len(v) < FEWEST:
        return None
    if is_auc(series):
        return "0.5, a coin toss" if float(np.abs(v - 0.5).max()) < 0.02 else None
    if "top" in series.name.lower() and "top1" not in series.name.lower().replace("_", "").replace("-", ""):
        return None
    for one in vocabulary.of("classes") if vocabulary else ():
        if one.size == 2 and _gains(v):
            continue
        level, above = 1.0 / one.size, min(0.35 / one.size, 0.03)
        lowest = max(0.5 * level, level - 0.08)  # below, it is another measure, or the answers are turned round
        if lowest <= float(np.median(v)) <= level + above and float(v[len(v) // 5 :].max()) < level + 2.0 * above:
            return f"1/{one.size} = {level:.3g}, the chance level of {one.source}"
    flat = len(v) >= 15 and float(v.max() - v.min()) < 0.25 * float(np.median(v))
    for size in () if vocabulary and vocabulary.of("classes") else (10, 100):
        if flat and 0.95 / size <= float(np.median(v)) <= 1.35 / size:
            return f"about 1/{size}, the chance level of {size} classes"
    return None


def _gains(v: FloatArray) -> bool:
    few, third = max(3, len(v) // 10), len(v) // 3
    if third < 3:
        return False
    gain = float(np.median(v[-third:]) - np.median(v[:few]))
    return gain > max(min(0.008, 0.1 * float(np.median(v))), 4.0 * noise(v) / math.sqrt(few))


def above_chance(series: Series, vocabulary: Vocabulary | None) -> bool:
    """Whether a metric shows that something was learned: clearly better at its end, or far from chance."""
    v = scaled(series)
    if is_auc(series):
        return bool(np.median(v[-5:]) > 0.56)
    known = vocabulary.of("classes") if vocabulary else ()
    if known:
        level = 1.0 / min(a.size for a in known)
        return bool(np.median(v[-5:]) > max(min(2.0 * level, level + 0.1), 0.05))
    third = max(2, len(v) // 3)
    gain = float(np.median(v[-third:]) - np.median(v[:third]))
    return gain > max(0.05, 4.0 * noise(v) / math.sqrt(third))
