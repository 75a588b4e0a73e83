"""The rows of a JSON array of any length, one at a time, from text that comes in pieces."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from runvet.sink import Sink
from runvet.source import BLOCK, Cut, Source

ROW = 16 << 20  # characters; a single row longer than this is given up
NEAR = 100_000  # a parse error this near to the end of what was read may be cured by reading on
_OPENING = re.compile(r"\[\s*(?=\{)")
_NEXT = re.compile(r"\}\s*,?\s*(?=\{)")
_BETWEEN = re.compile(r"[\s,]*")


def pieces(source: Source) -> Iterator[str]:
    """The text of a file in pieces of about a mebibyte. Raises Cut where packed data end early."""
    decoder = codecs.getincrementaldecoder(source.encoding)("replace")
    with source.open() as stream:
        while True:
            try:
                data = stream.read1(BLOCK)
            except (EOFError, OSError, ValueError) as error:
                raise Cut(f"packed data end early: {error}") from None
            if not data:
                return
            yield decoder.decode(data).replace("\0", "")


def whole_text(source: Source, sink: Sink, limit: int) -> str:
    """The text of a file (about `limit` characters at most), without a byte-order mark; damage is named."""
    parts, size = [], 0
    try:
        for piece in pieces(source):
            parts.append(piece)
            size += len(piece)
            if size > limit:
                break
    except Cut as cut:
        sink.problem(str(cut))
    return "".join(parts).lstrip("\ufeff")


def stream_rows(text: Iterable[str], sink: Sink) -> Iterator[dict[str, Any]]:
    """Every complete object of the first list of objects; damaged ones and a missing end are named in the sink."""
    decoder = json.JSONDecoder()
    buffer, at, number, started, wanted = "", 0, 0, False, 0
    for piece in text:
        buffer, at = buffer[at:] + piece, 0
        if not started:
            opening = _OPENING.search(buffer)
            if opening is None:
                at = max(0, len(buffer) - NEAR)
                continue
            at, started = opening.end(), True
        while len(buffer) - at > wanted:
            at = _skip(buffer, at)
            if at >= len(buffer):
                break
            if buffer[at] != "{":
                if buffer[at] != "]":
                    sink.problem("the list of rows goes on with something else; reading ends here", line=number + 1)
                return
            try:
                row, at = decoder.raw_decode(buffer, at)
            except (ValueError, RecursionError) as error:
                left = len(buffer) - at
                if left < ROW and _curable(error, buffer):
                    wanted = left  # try again once there is more
                    break
                sink.problem("a row is damaged; it is passed over", line=number + 1)
                following = _NEXT.search(buffer, at + 1)
                at = following.end() if following else len(buffer)
                continue
            wanted, number = 0, number + 1
            yield row
    if started:
        yield from _rest(buffer, at, number, sink)
    else:
        sink.problem("no list of rows in this JSON file, and it is too large or too damaged to take at once")


def _rest(buffer: str, at: int, number: int, sink: Sink) -> Iterator[dict[str, Any]]:
    """What follows a row that no more text came to cure: later rows may be whole all the same."""
    decoder = json.JSONDecoder()
    while at < len(buffer):
        following = _NEXT.search(buffer, at + 1)
        if following is None:
            break
        try:
            row, at = decoder.raw_decode(buffer, following.end())
        except (ValueError, RecursionError):
            at = following.end()
            continue
        sink.problem("a row is damaged; it is passed over", line=number + 1)
        number += 1
        yield row
        at = _skip(buffer, at)
        if buffer[at : at + 1] == "]":
            return
        while buffer[at : at + 1] == "{":
            try:
                row, at = decoder.raw_decode(buffer, at)
            except (ValueError, RecursionError):
                break
            number += 1
            yield row
            at = _skip(buffer, at)
        if buffer[at : at + 1] == "]":
            return
    sink.problem("the list of rows is cut off; every complete row is kept", line=number + 1)


def _skip(buffer: str, at: int) -> int:
    """The place after blanks and commas."""
    match = _BETWEEN.match(buffer, at)
    return match.end() if match else at


def _curable(error: Exception, buffer: str) -> bool:
    """Whether more text may cure a parse error: it stands at the end of what was read, or a string has no end yet."""
    return getattr(error, "pos", 0) >= len(buffer) - NEAR or "Unterminated" in str(error)
