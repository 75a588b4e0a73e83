"""Evidence: typed values that rules ask for by annotation. One file a family, found by scanning this package.

A provider is a function marked `@provides`; its annotations say what it needs (other evidence, or the bases
`Stage`, `Run` and `Config`), its return annotation says what it gives, or `Missing` with the reason and the one
line to log so that it exists next time. Providers run at most once per stage, and only when a rule asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

PROVIDERS: list[Callable[..., Any]] = []


@dataclass(frozen=True, slots=True)
class Missing:
    """Evidence that this run does not hold: why, and what to log or keep so that it is there next time.

    `applicable` is False where it can't exist for this kind of run: the rule is then not applicable.
    """

    why: str
    unlock: str = ""
    applicable: bool = True


def provides(function: F) -> F:
    """Mark a function as the provider of the type (or types, `A | Missing`) that it returns."""
    PROVIDERS.append(function)
    return function
