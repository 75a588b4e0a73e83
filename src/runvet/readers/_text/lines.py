"""Physical lines of a text, and the states that a terminal would have shown on each of them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from runvet.sink import Sink
from runvet.source import Cut, Source

WIDTH = 65_536  # characters of one state that are looked at
_PENDING = 1 << 20  # characters of an unfinished physical line that are kept before it is cut at a redraw
_BYTEWISE = frozenset({"utf-8", "utf-8-sig", "latin-1"})  # a newline or a digit is one byte, and no other byte means it

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)|[@-Z\\-_])")
_REDRAW = re.compile(r"\r+|\x08{4,}")
# Private-use characters serve the grammar as markers; control characters say nothing.
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\ue000-\uf8ff\ufeff]+")
_FULL_WIDTH = "：＝，；｜（）［］【】％／～－＋\u00a0\u3000"
_WIDE = str.maketrans(_FULL_WIDTH, ":=,;|()[][]%/~-+  ")
_ANY_WIDE = re.compile(f"[{_FULL_WIDTH}]")  # most lines that are not ASCII have none: bars are drawn in blocks


class State(NamedTuple):
    """One line as it was seen: `line` is 1-based, `complete` is false for a last line without its end."""

    line: int
    text: str
    complete: bool


class Taker(Protocol):
    """What can read many lines at once and leaves some of them (see `bulk.py`)."""

    def spans(self, block: bytes, line: int) -> Iterator[tuple[int, int, int]]:
        """Spans (begin, end, number of the first line) of a block of whole lines that are left."""


def states(source: Source, sink: Sink, taker: Taker | None = None) -> Iterator[State]:
    """Every non-blank state of every line, in order. A physical line with redraws gives several of one number.

    Lines that `taker` takes are left out. Each state must be used before the next one is asked for.
    """
    taker = taker if source.encoding in _BYTEWISE else None
    decoder = codecs.getincrementaldecoder(source.encoding)("replace")
    number, rest = 1, ""
    blocks = source.blocks()
    while True:
        try:
            block = next(blocks, None)
        except Cut as error:
            sink.problem(str(error), line=number, remedy="copy the file again from where it was written")
            block = None
        if block is None:
            break
        if taker is not None and not rest and not decoder.getstate()[0] and not block.startswith(codecs.BOM_UTF8):
            end = block.rfind(b"\n") + 1
            for begin, stop, first in taker.spans(block[:end], number) if end else ():
                for line, piece in enumerate(
                    block[begin : stop - 1].decode(source.encoding, "replace").split("\n"), first
                ):
                    yield from states_of(piece, line, True)
            number += int(np.count_nonzero(np.frombuffer(block, np.uint8) == 10))
            block = block[end:]
        pieces = (rest + decoder.decode(block)).split("\n")
        rest = pieces.pop()
        for piece in pieces:
            yield from states_of(piece, number, True)
            number += 1
        if len(rest) > _PENDING:
            end = max(rest.rfind("\r"), rest.rfind("\x08"))
            head, rest = (rest[:end], rest[end:]) if end > 0 else (rest, "")
            yield from states_of(head, number, True)
    rest += decoder.decode(b"", True)
    if rest:
        yield from states_of(rest, number, False)


def states_of(piece: str, number: int, complete: bool = True) -> Iterator[State]:
    """The non-blank states of one physical line."""
    if "\r" not in piece and "\x08" not in piece:
        if piece and not piece.isspace():
            yield State(number, clean(piece), complete)
        return
    drawn = [part for part in _REDRAW.split(piece) if part and not part.isspace()]
    for part in drawn[:-1]:
        yield State(number, clean(part), True)
    if drawn:
        # A redraw that ends in a carriage return is whole, even when the line goes on.
        yield State(number, clean(drawn[-1]), complete or piece[-1] in "\r\x08")


def clean(text: str) -> str:
    """The text without colours, control characters and full-width punctuation, at most `WIDTH` characters."""
    if len(text) > WIDTH:
        text = text[:WIDTH]
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = _ODD.sub("", text)
    return text.translate(_WIDE) if _ANY_WIDE.search(text) else text
