"""Nested configuration as settings with dotted keys."""

from __future__ import annotations

from runvet.run import Plain
from runvet.sink import Sink

DEPTH = 12  # deeper nesting is kept as text
KEYS = 10_000  # settings of one file


def settings(sink: Sink, key: str, value: object, *, line: int = 0, depth: int = 0) -> None:
    """Keep `value` under `key`; the members of a mapping under `key.member`, and so on."""
    if isinstance(value, dict) and value and depth < DEPTH:
        for name, member in list(value.items())[:KEYS]:
            settings(sink, f"{key}.{name}" if key else str(name), member, line=line, depth=depth + 1)
    elif key:
        sink.setting(key, plain(value), line=line)


def plain(value: object, depth: int = 0) -> Plain:
    """A JSON value as it is, anything else (and what is nested too deeply) as text."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if depth < DEPTH:
        if isinstance(value, (list, tuple)):
            return [plain(v, depth + 1) for v in value[:KEYS]]
        if isinstance(value, dict):
            return {str(k): plain(v, depth + 1) for k, v in list(value.items())[:KEYS]}
    return str(value)[:1000]
