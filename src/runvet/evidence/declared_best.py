"""The best model that the run declared, with the value it was chosen by."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.run import Event, Stage, number

NAMED = re.compile(r"[A-Za-z_@\])][\w@. -]*\s*[:=]\s*[-+]?\d")  # a metric with its value in a line

PATH = re.compile(r"""(['"])[^'"\s]*[/.][^'"\s]*\1|\S*[/\\]\S+""")  # `epoch=0-step=50.ckpt` names no metrics


@dataclass(frozen=True, slots=True)
class DeclaredBest:
    """The last line (or record) that declares a new best model, and the number it names."""

    event: Event
    value: float


@provides
def declared_best(stage: Stage) -> DeclaredBest | Missing:
    for event in reversed(stage.events):
        # A line with several metrics does not tell which of them decides.
        alone = len(NAMED.findall(PATH.sub(" ", event.text))) < 2 or "best_metric" in event.text
        value = number(event.value) if event.kind == "best" and alone else None
        if value is not None and math.isfinite(value):
            return DeclaredBest(event, value)
    return Missing("no best model is declared", "print the value of each new best model", applicable=False)
