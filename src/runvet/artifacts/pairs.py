"""Predictions and truths by the names of arrays: `pred` with `gt`, `pred_mask` with `gt_mask`, `pred.npy` with `target.npy`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PREDICTED = frozenset(
    "pred preds prediction predictions predicted yhat est estimate estimates estimated forecast forecasts output outputs hyp".split()
)
TRUE = frozenset(
    "gt gts target targets true truth label labels ground_truth groundtruth real actual actuals obs observed reference".split()
)
_WORD = re.compile(r"[a-z]+|\d+")


def side(name: str) -> tuple[str, tuple[str, ...]]:
    """`pred`, `true` or '' for a name, and the words that are left: `pred_mask_mean` -> ("pred", ("mask", "mean"))."""
    text = (
        name.lower()
        .replace("ground_truth", "gt")
        .replace("y_hat", "yhat")
        .replace("y_pred", "pred")
        .replace("y_true", "true")
    )
    told = _WORD.findall(text)
    for which, known in (("pred", PREDICTED), ("true", TRUE)):
        if known & set(told):
            return which, tuple(w for w in told if w not in known)
    return ("true", ()) if told == ["y"] else ("", tuple(told))


def matched(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Pairs of names (predicted, true, what is left of both), in order; a name is used once."""
    predicted: dict[tuple[str, ...], str] = {}
    true: dict[tuple[str, ...], str] = {}
    for name in names:
        which, rest = side(name)
        if which:
            (predicted if which == "pred" else true).setdefault(rest, name)
    pairs = [(p, true[rest], " ".join(rest)) for rest, p in predicted.items() if rest in true]
    if not pairs and len(predicted) == 1 and len(true) == 1:
        pairs = [(next(iter(predicted.values())), next(iter(true.values())), "")]
    return pairs


def files(names: Sequence[str]) -> list[tuple[str, str]]:
    """Files of one folder that hold predictions and truths by name: `preds.npy` and `targets.npy`."""
    out = []
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    for folder, held in folders.items():
        stems = {f.rpartition(".")[0]: f for f in held}
        prefix = folder + "/" if folder else ""
        out += [(prefix + stems[p], prefix + stems[t]) for p, t, _ in matched(stems)]
    return out
