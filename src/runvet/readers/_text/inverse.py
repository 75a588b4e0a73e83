"""Lists whose names follow their values, as C programs print them: `12: 23.1, 25.2 avg loss, 0.001 rate, 6 seconds`."""

from __future__ import annotations

import re

from runvet.readers._text.atoms import Atom

_AFTER = re.compile(r"\s?(?P<name>[A-Za-z][A-Za-z _]{0,30}?)\s{0,3}(?:,\s{0,8}|$)")
_BETWEEN = re.compile(r"\s{0,3},\s{0,8}$")
_MEAN = re.compile(r"^(?:avg|average|mean|running)\b\s?")
_FEWEST = 3  # values after the count


def inverse(gaps: list[str], found: list[Atom]) -> list[str] | None:
    """The names of the values after the count that leads the line, '' for one without; None where it is no such list.

    A value without a name before an average is what is averaged: `23.1, 25.2 avg loss`.
    """
    if len(found) <= _FEWEST or gaps[0].strip() or gaps[1].strip() != ":" or found[0].kind != "number":
        return None
    names: list[str] = []
    for gap in gaps[2:]:
        named = _AFTER.match(gap)
        if named is None and not _BETWEEN.match(gap):
            return names_of(names) if len(names) >= _FEWEST else None
        names.append(named["name"] if named else "")
    return names_of(names)


def names_of(names: list[str]) -> list[str] | None:
    """The same with names for those that have none; None where too few have one."""
    if sum(bool(n) for n in names) < 2:
        return None
    for index, name in enumerate(names[1:], 1):
        if not names[index - 1] and _MEAN.match(name):
            names[index - 1] = _MEAN.sub("", name) or "loss"
    return names
