"""Facts of each split that a log prints side by side: `split=train views=2 …`, `split=val views=4 …`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runvet.artifacts.grouping import SPLITS
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
    """Whole numbers that lines print for each split: split -> name -> (number, event). At least two splits."""

    facts: Mapping[str, Mapping[str, tuple[int, Event]]]


@provides
def split_facts(stage: Stage) -> SplitFacts | Missing:
    found: dict[str, dict[str, tuple[int, Event]]] = {}
    for event in stage.events:
        split = _SPLIT.search(event.text)
        if split is None or split.group(1).lower() not in SPLITS:
            continue
        known = found.setdefault(SPLITS[split.group(1).lower()], {})
        for name, number in _FACT.findall(event.text):
            known.setdefault(name.lower(), (int(number), event))
    if len(found) < 2:
        return Missing(
            "no lines describe the splits", "print shape, views and classes of a batch of each split", applicable=False
        )
    return SplitFacts(found)
