"""Reading on where a file ended before: for logs that only grow."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from typing import Protocol

from runvet.sink import Sink
from runvet.source import LINE, Source


class Resumed(Protocol):
    """A reader that stands in the middle of one file. It can be copied (`copy.deepcopy`) with everything it holds,
    and a copy be finished while the original reads on.
    """

    sink: Sink

    def feed(self, data: bytes) -> int:
        """Read what follows the bytes used so far; gives how many of these are used up (whole lines or records)."""

    def finish(self, rest: bytes) -> None:
        """The file ends for now, with `rest` unused: write out what was held back."""


class Lines(ABC):
    """A resumed reader of UTF-8 lines; subclasses say what a block of them and the end mean."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self.source, self.sink, self._begun = source, sink, False

    @staticmethod
    def can(source: Source) -> bool:
        """Whether a newline is one byte and lines can be told apart in this file."""
        return not source.packed and source.encoding in ("utf-8", "utf-8-sig", "latin-1") and b"\n" in source.head

    def feed(self, data: bytes) -> int:
        """Read the whole lines; a line of more than 4 MiB is cut."""
        end = data.rfind(b"\n") + 1
        if not end and len(data) < LINE:
            return 0
        end = end or len(data)
        self.block(self._clean(data[:end]))
        return end

    def finish(self, rest: bytes) -> None:
        """Read the last line, which lacks its end, and write out what was held back."""
        if rest:
            self.block(self._clean(rest))
        self.end()

    @abstractmethod
    def block(self, data: bytes) -> None:
        """Read some lines; only the last block of a file may lack its newline."""

    def end(self) -> None:  # noqa: B027 - a reader that holds nothing back has nothing to do
        """Write out what was held back."""

    def _clean(self, data: bytes) -> bytes:
        if not self._begun and data.startswith(codecs.BOM_UTF8):
            data = data[len(codecs.BOM_UTF8) :]
        self._begun = True
        if b"\0" in data:
            self.sink.problem("NUL bytes stand in the text (a crash while the file was written); they are skipped")
            data = data.replace(b"\0", b"")
        if self.source.encoding == "latin-1" and not data.isascii():
            data = data.decode("latin-1").encode()
        return data
