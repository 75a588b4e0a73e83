"""Plans by shape: what was learned about one line holds for every line that differs from it only in its numbers."""

from __future__ import annotations

import re

from runvet.readers._text import events
from runvet.readers._text.atoms import MARK, NUMBER
from runvet.readers._text.grammar import Plan, compile_plan

_KEPT = 24 << 20  # characters of all shapes kept; beyond, the memory starts anew
_MODEL = ("in_features=", "kernel_size=", "num_embeddings=", "normalized_shape", "(norm", "ModuleList(", "Sequential(")

# Lines of one layer of a detector, many of them a step and NaN where it has no object.
_LAYER = re.compile(r"^\s?(?:v\d \(\w{1,9} loss, Normalizer|Region (?:\d+ )?Avg \(?IOU)")


class Shapes:
    """A bounded memory of plans."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._size = 0

    def plan(self, text: str, level: str) -> tuple[Plan, list[str], bool]:
        """The plan of a message, its numbers as text, and whether a line of this shape was seen before."""
        parts = NUMBER.split(text)
        key = (level, *parts[0::2])
        plan = self._plans.get(key)
        if plan is not None:
            return plan, parts[1::2], True
        plan = self._compile(text, parts[0::2], level)
        self._size += len(text) + 300
        if self._size > _KEPT:
            self._plans.clear()
            self._size = len(text) + 300
        self._plans[key] = plan
        return plan, parts[1::2], False

    @staticmethod
    def _compile(text: str, texts: list[str], level: str) -> Plan:
        stripped = text.lstrip()
        if (
            any(word in text for word in _MODEL)
            or _LAYER.match(text)
            or (stripped[:1] == "(" and "): " in stripped[:60] and stripped[1:2] != "'")
        ):
            return Plan()
        plan = compile_plan(MARK.join(texts))
        plan.events = events.kinds(text, level, bool(plan.slots))
        numbers = NUMBER.findall(text)
        spanned = any(not n.isdigit() for i in plan.spans for n in numbers[i : i + 2])
        if plan.ranges and spanned and level not in {"warning", "error"}:
            plan.events += ("range",)
        if numbers and text.rstrip().endswith(numbers[-1]):
            plan.decimals = len(numbers[-1].partition(".")[2])
        return plan
