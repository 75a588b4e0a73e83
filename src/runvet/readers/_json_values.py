"""JSON values one after another: usually one a line, but not by contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import IO

import orjson

from runvet.sink import Sink

LARGEST = 16 << 20  # characters of one value
_DECODER = json.JSONDecoder()  # takes NaN and Infinity, which orjson refuses


def values(stream: IO[bytes], sink: Sink, whole: Callable[[object], bool]) -> Iterator[tuple[int, object]]:
    """Every value that `whole` accepts, with the line (from 1) on which it ends.

    Values may span lines or share one. What is no JSON is named in `sink`, except at the end of the file, where it
    is a record half written.
    """
    rest, number, retry = "", 0, 0
    while True:
        try:
            line = stream.readline(LARGEST)
        except (EOFError, OSError, ValueError) as error:
            sink.problem(f"packed data end early: {error}", line=number)
            return
        if not line:
            return
        number += 1
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if whole(value):
            if rest.strip():
                _damaged(sink, number - 1)
            rest, retry = "", 0
            yield number, value
            continue
        rest += line.decode("utf-8", "replace")
        if len(rest) < retry:
            continue
        found, rest = _decode(rest)
        retry = 2 * len(rest) if len(rest) > 65_536 else 0  # a long value is not tried again at every line
        for value in found:
            if whole(value):
                yield number, value
        if len(rest) > LARGEST:
            _damaged(sink, number)
            rest, retry = "", 0


def _decode(text: str) -> tuple[list[object], str]:
    """The values that `text` begins with, and what is left behind the last whole one."""
    found: list[object] = []
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at == len(text):
            return found, ""
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return found, text[at:]
        found.append(value)


def _damaged(sink: Sink, line: int) -> None:
    sink.problem(f"what ends on line {line} is not JSON; skipped", line=line)


def number(value: object) -> float | None:
    """A JSON number, or one of the words that stand for a non-finite one; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str) and value.strip("+-").lower() in ("nan", "inf", "infinity"):
        return float(value)
    return None
