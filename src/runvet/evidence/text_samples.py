"""Texts that the model wrote at its last step, beside those that it learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runvet.artifacts.grouping import Entry, Group, words
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.artifacts.texts import texts_of
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import TEXTS, Drawn, StageGroups

SAMPLES = 64  # texts of the last step
DATA = 2_000  # texts of the data
FILES = 200
# Text files beside samples that are no samples.
OTHER = frozenset(
    "prompt prompts label labels caption captions readme log logs requirements config args metrics vocab merges license classes names"
    " index list note notes info meta metadata results result score scores".split()
)


@dataclass(frozen=True, slots=True)
class TextSamples(Drawn):
    """Texts with the places they come from, `texts` of the last step that has some and `data`, which may be empty."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    data_names: tuple[str, ...]
    data: tuple[str, ...]
    where: str
    step: float | None
    axis: str


@provides
def text_samples(found: StageGroups) -> TextSamples | Missing:
    made = [g for g in found.samples if _texts(g)]
    for group in made:
        entries = [e for e in group.last if not OTHER & set(words(e.item.parts[-1]))]
        names, texts = _read(found.artifacts, entries, SAMPLES)
        if texts:
            real = [e for g in found.data if _texts(g) for e in g.entries if not OTHER & set(words(e.item.parts[-1]))]
            data_names, data = _read(found.artifacts, real, DATA)
            last = group.last[0]
            return TextSamples(names, texts, data_names, data, group.name, last.step, last.axis)
    return Missing("no texts among the samples", "", applicable=False)


def _texts(group: Group) -> bool:
    return group.entries[0].item.suffix in TEXTS


def _read(artifacts: Artifacts, entries: Sequence[Entry], most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names: list[str] = []
    texts: list[str] = []
    for entry in evenly(entries, FILES):
        try:
            held = texts_of(artifacts.read(entry.item))
        except UnreadableError:
            continue
        kept = evenly(list(enumerate(held)), most - len(texts)) if len(texts) < most and held else []
        names += [f"{entry.item.name}[{i}]" if len(held) > 1 else entry.item.name for i, _ in kept]
        texts += [t for _, t in kept]
    return tuple(names), tuple(texts)
