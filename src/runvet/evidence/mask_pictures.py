"""Masks saved as pictures: `pred_mask/003.png` beside `gt_mask/003.png`, or `003_pred_mask.png` beside `003_gt_mask.png`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet.artifacts import pairs
from runvet.artifacts.model import Artifacts, Item, UnreadableError, evenly
from runvet.run import FloatArray

MASK = frozenset("mask masks seg segmentation".split())
MOST = 24  # pairs that are opened
FEWEST = 4
_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[a-z]+")


def mask_pictures(artifacts: Artifacts) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """The place, predicted and true masks (n, pixels) in 0..1, of one kind of mask each; the truth is of zeros and ones."""
    sides: dict[tuple[str, ...], dict[str, Item]] = {}
    for item in artifacts.items:
        name = item.name.lower()
        if item.suffix != ".png" or not MASK & set(_WORD.findall(name)):
            continue
        which, rest = pairs.side(name.rpartition(".")[0])
        if which:
            sides.setdefault((*rest, "#", *_DIGITS.findall(name)), {}).setdefault(which, item)
    kinds: dict[tuple[str, ...], list[tuple[Item, Item]]] = {}
    for key, both in sides.items():
        if len(both) == 2:
            words = tuple(w for w in key if not w.isdigit())
            kinds.setdefault(words, []).append((both["pred"], both["true"]))
    for found in kinds.values():
        read = [r for p, t in evenly(found, MOST) if (r := _both(artifacts, p, t)) is not None]
        shapes = {r[0].shape for r in read}
        if len(read) >= FEWEST and len(shapes) == 1:
            yield found[0][0].name, np.stack([r[0] for r in read]), np.stack([r[1] for r in read])


def _both(artifacts: Artifacts, pred: Item, true: Item) -> tuple[FloatArray, FloatArray] | None:
    a, b = _grey(artifacts, pred), _grey(artifacts, true)
    if a is None or b is None or a.shape != b.shape or not np.isin(b, (0.0, 1.0)).all():
        return None
    return a, b


def _grey(artifacts: Artifacts, item: Item) -> FloatArray | None:
    """A picture in 0..1 as (pixels,): 8 or 16 bits by its type, a mask of 0 and 1 as it is; None where it has colours."""
    try:
        picture = artifacts.read(item).arrays["image"]
    except (UnreadableError, KeyError):
        return None
    if picture.ndim == 3:
        if picture.shape[2] == 3 and not (np.ptp(picture, axis=2) == 0).all():
            return None
        picture = picture[..., 0]
    top = float(picture.max(initial=0))
    full = 1.0 if top <= 1 else float(np.iinfo(picture.dtype).max) if picture.dtype.kind == "u" else top
    return np.asarray(picture, np.float64).ravel() / full
