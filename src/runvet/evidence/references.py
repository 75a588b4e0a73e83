"""Measures beside a trivial reference that the run logs itself: copying the last frame, the frequencies of the codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.roles import meaning, words
from runvet.run import Direction, Series, Stage

COPYING = frozenset({"copy", "copylast", "persistence", "lastframe", "repeat", "still"})
FILLERS = frozenset({"last", "frame", "previous", "baseline", "ref", "reference", "val", "valid", "eval", "test"})
MARGINAL = re.compile(
    r"(?:^|_)(?:unigram|marginal)_(?:entropy|ce|nll|loss)(?:_|$)|(?:^|_)(?:ce|nll|loss)_(?:unigram|marginal)$"
)
CROSS = re.compile(r"(?:^|_)(?:ce|nll|xent|cross_?entropy)$")


@dataclass(frozen=True, slots=True)
class Beside:
    """A measure, the same measure of a trivial reference, and the direction in which both get better."""

    own: Series
    reference: Series
    direction: Direction


@dataclass(frozen=True, slots=True)
class Copies:
    """Measures of held-out data beside those of copying the last frame; at least one."""

    pairs: tuple[Beside, ...]


@dataclass(frozen=True, slots=True)
class Marginals:
    """The cross entropy of held-out data beside the entropy of how often each code or token occurs, both in nats."""

    loss: Series
    entropy: Series


@provides
def copies(stage: Stage) -> Copies | Missing:
    found = tuple(_pairs(stage))
    if found:
        return Copies(found)
    return Missing(
        "no measure of copying the last frame", "log val/psnr_copy beside val/psnr", applicable=False
    )  # fmt: skip


@provides
def marginals(stage: Stage) -> Marginals | Missing:
    entropy = next((s for s in stage.series if len(s) and MARGINAL.search("_".join(words(s.name)))), None)
    if entropy is None:
        return Missing("the entropy of the tokens is unknown", "log val/unigram_entropy", applicable=False)
    losses = [s for s in stage.series if len(s) and s.split in ("val", "test") and _is_cross(s)]
    losses = losses or [s for s in stage.role("val_loss") if len(s)]
    if not losses:
        return Missing("no cross entropy of held-out data", "log val/ce beside val/unigram_entropy")
    return Marginals(max(losses, key=lambda s: s.total), entropy)


def _is_cross(series: Series) -> bool:
    return bool(CROSS.search("_".join(w for w in words(series.name) if w not in FILLERS)))


def _pairs(stage: Stage) -> Iterator[Beside]:
    """`val/psnr` beside `val/psnr_copy`, `val/token_accuracy` beside `val/copy_accuracy`."""
    named = {s.name: (s.name.rpartition("/")[0], _telling(s.name)) for s in stage.series if len(s)}
    for reference in stage.series:
        if not len(reference) or not COPYING & set(words(reference.name)):
            continue
        place, said = named[reference.name]
        direction = meaning(reference.name)[1]
        wanted = said - COPYING
        fits = [s for s in stage.series if len(s) and s is not reference and _fits(named[s.name], place, wanted)]
        own = min(fits, key=lambda s: len(named[s.name][1]), default=None)
        if own is not None and direction is not None:
            yield Beside(own, reference, direction)


def _telling(name: str) -> frozenset[str]:
    return frozenset(words(name.rpartition("/")[2])) - FILLERS


def _fits(one: tuple[str, frozenset[str]], place: str, wanted: frozenset[str]) -> bool:
    """Whether a measure says what the reference says, and nothing else but which thing it counts."""
    return (
        one[0] == place
        and bool(wanted)
        and wanted <= one[1]
        and one[1] - wanted <= {"token", "tokens", "pixel", "frame", "code"}
    )
