"""Facts of each split side by side: lines `split=train views=2 …`, settings `data.val.num_views: 4`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runvet.artifacts.grouping import SPLITS, words
from runvet.evidence import Missing, provides
from runvet.run import Event, Stage

# What a model sees of one sample: more of it in one split makes it another task.
COUNTS = frozenset(
    "views num_views n_views cameras num_cameras classes num_classes n_classes channels in_channels modalities sensors".split()
)
_SPLIT = re.compile(r"(?i)\b(?:split|phase|subset)\s*[=:]\s*['\"]?(\w+)")
_FACT = re.compile(r"(?i)\b([a-z][a-z_]{1,30})\s*[=:]\s*(\d{1,9})(?![\d.x\[])")


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """Whole numbers that lines or settings tell for each split: split -> name -> (number, event). At least two splits."""

    facts: Mapping[str, Mapping[str, tuple[int, Event]]]


@provides
def split_facts(stage: Stage) -> SplitFacts | Missing:
    found: dict[str, dict[str, tuple[int, Event]]] = {}
    for event in stage.events:
        told = _SPLIT.search(event.text)
        if told is None or told.group(1).lower() not in SPLITS:
            continue
        known = found.setdefault(SPLITS[told.group(1).lower()], {})
        for name, number in _FACT.findall(event.text):
            known.setdefault(name.lower(), (int(number), event))
    for setting in stage.settings:
        *sections, name = setting.key.lower().replace("-", "_").split(".")
        split = next((SPLITS[w] for part in sections for w in words(part) if w in SPLITS), "")
        if split and name in COUNTS and isinstance(setting.value, int) and setting.number is not None:
            line = Event("range", f"{setting.key}: {setting.value}", setting.source, setting.line)
            found.setdefault(split, {}).setdefault(name, (setting.value, line))
    if len(found) < 2:
        return Missing(
            "no lines describe the splits", "print shape, views and classes of a batch of each split", applicable=False
        )
    return SplitFacts(found)
