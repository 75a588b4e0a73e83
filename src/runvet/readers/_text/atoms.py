"""Numbers of a line, and the composite values that several of them form.

A line is split at its numbers once: the texts between them are its shape, and everything the grammar learns about a
shape holds for every line that has it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.@$])(?<![A-Za-z][-/])"
    r"([-+]?(?:[1-9]\d{0,2}(?:,\d{3}){1,6}(?![\d,])(?:\.\d{1,20})?|(?:\d{1,40}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][-+]?\d{1,6})?)"
    r"|[-+]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)(?![A-Za-z0-9_]))"
)
MARK = "\x00"  # stands for one number
FIRST = 0xE000  # private-use characters from here on stand for one value each
LAST = 0xF8FE

_N = "\x00"
_WRAP = r"(?:(?:np|numpy|jnp|torch)\.)?(?:float\d{0,3}|int\d{0,3}|tensor|array|Array|bfloat16|Decimal|Tensor)"
_VALUE = re.compile(
    rf"(?P<wrapped>{_WRAP}\(\s?\[?\s?{_N}\s?\]?(?:,[^()\x00]{{0,80}}(?:\([^()\x00]{{0,40}}\))?[^()\x00]{{0,80}}(?:cuda:{_N}[^()\x00]{{0,80}})?)?\))"
    rf"|(?P<date>{_N}[-/]{_N}[-/]{_N}(?:[ T_]{{1,2}}{_N}:{_N}(?::{_N})?(?:[.,]{_N})?)?)"
    rf"|(?P<clock>(?:{_N} days?, )?{_N}:{_N}(?::{_N}){{0,2}}(?![/\w:]))"
    rf"|(?P<fraction>{_N}\s{{0,4}}/\s{{0,6}}{_N}(?![/\w.])|{_N} (?:out )?of {_N}(?!\w))"
    rf"|(?P<mean>{_N}[ %]{{0,3}}\(\s{{0,3}}{_N}\s?%?\s{{0,2}}\))"
    rf"|(?P<spread>{_N}\s?(?:±|\+/-|\+-)\s?{_N})"
    rf"|(?P<arrow>{_N}\s?(?:->|→|=>|-->)\s?{_N})"
    rf"|(?P<one>\[\s{{0,3}}{_N}\s{{0,3}},?\s?\]|\(\s?{_N},\s?\))"
    rf"|(?P<pair>[\[(]\s{{0,3}}{_N}\s{{0,3}}[,;~]\s{{0,3}}{_N}\s{{0,3}}[\])])"
    rf"|(?P<list>[\[(]\s{{0,9}}{_N}(?:\s{{0,3}},\s{{0,9}}{_N}|\s{{1,9}}{_N}){{2,63}}\s{{0,3}},?\s?[\])])"
    rf"|(?P<quoted>'\s?{_N}\s?%?'|\"\s?{_N}\s?%?\")"
    rf"|(?P<percent>{_N}\s?%)"
    rf"|(?P<number>{_N})"
)


@dataclass(frozen=True, slots=True)
class Atom:
    """One value of a line. `kind` is the group of the pattern above; `first` the index of its first number, `count` how many it has."""

    kind: str
    first: int
    count: int
    text: str


def atoms(masked: str) -> tuple[list[str], list[Atom]]:
    """Cut a line whose numbers are marks into gaps and values: n values, n + 1 gaps of text around them."""
    gaps: list[str] = []
    found: list[Atom] = []
    seen = at = 0
    for match in _VALUE.finditer(masked):
        kind = match.lastgroup or "number"
        count = match[0].count(MARK)
        gaps.append(masked[at : match.start()])
        found.append(Atom("percent" if kind == "quoted" and "%" in match[0] else kind, seen, count, match[0]))
        seen += count
        at = match.end()
        if len(found) >= 2_000:
            break
    gaps.append(masked[at:])
    return gaps, found


def number(text: str) -> float:
    """A number as it stands in a log; beyond the range of doubles it is infinite."""
    try:
        return float(text)
    except ValueError:
        return float(text.replace(",", ""))


def whole(text: str) -> bool:
    """Whether a number is written without point, exponent or sign."""
    return text.isdigit()


def seconds(parts: list[str], masked: str) -> float:
    """Seconds of a clock `h:m:s`, `m:s` or `2 days, h:m:s`; NaN where it is none."""
    values = [number(p) for p in parts]
    total = 0.0
    if "day" in masked:
        total, values = values[0] * 86_400, values[1:]
    if any(not math.isfinite(v) or v < 0 for v in values) or any(v >= 60 for v in values[1:]):
        return math.nan
    if len(values) > 3:
        return math.nan
    return total + math.fsum(value * 60.0**power for power, value in enumerate(reversed(values)))
