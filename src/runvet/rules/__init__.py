"""Rules: one file each, below a folder per family, found by scanning this package and `runvet.rules` entry points.

A rule is a plain function marked `@rule`. Its annotated arguments are the evidence it needs (`X | None` is
optional); it returns None (checked, and fine), one or more `Sick`, or `Unsure`. Its docstring is its page. The
module's functions `sick` and `healthy` yield example stages that the rule must find and must spare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from runvet.report import BACK, Action, Level, Measure, Window

__all__ = ["BACK", "Action", "Level", "Measure", "Rule", "Sick", "Unsure", "Window", "rule"]


@dataclass(frozen=True, slots=True)
class Sick:
    """What a rule found. `message` states the fact with its numbers and holds no advice.

    `level` may lower the rule's own level for a milder form, never raise it. `since_step` is the earliest step
    at which it could have been seen. `innocent` is one harmless explanation that a person can rule out.
    """

    message: str
    evidence: tuple[Measure, ...] = ()
    since_step: float | None = None
    innocent: str = ""
    actions: tuple[Action, ...] = ()
    window: Window | None = None
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Unsure:
    """The rule had its evidence and could not decide: why, and what would let it.

    `applicable=False`: the rule is about something that this run does not have, and nothing is missing.
    """

    why: str
    unlock: str = ""
    applicable: bool = True


Outcome: TypeAlias = "Sick | Unsure | Iterable[Sick] | None"


@dataclass(frozen=True, slots=True)
class Rule:
    """A collected rule: what `@rule` was given, and the function."""

    code: str
    name: str
    level: Level
    since: str
    check: Callable[..., Outcome]
    explains: tuple[str, ...] = ()
    module: str = ""

    @property
    def family(self) -> str:
        """The letters of the code: LOSS, LR, CKPT."""
        return self.code.rstrip("0123456789")


def rule(
    code: str, name: str, *, level: Level, since: str, explains: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function as a rule.

    `code` is letters and three digits; `name` is the sick state in kebab-case; `explains` lists codes of rules
    whose findings on the same stage are consequences of this one (a NaN explains the spikes before it).
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__dict__["runvet_rule"] = Rule(code, name, level, since, function, explains, function.__module__)
        return function

    return mark
