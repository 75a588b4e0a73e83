"""What the terminal can do: width, colour, and characters for drawing. Colour never stands alone."""

from __future__ import annotations

import math
import os
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-=+*#@"
ASCII = {ord(k): v for k, v in zip("·→×−≥≤τ√…", ["-", "->", "x", "-", ">=", "<=", "tau", "sqrt", "..."], strict=True)}
_CODES = {
    "critical": "1;31",
    "warning": "33",
    "suspect": "1;33",
    "sound": "1;32",
    "not judged": "1;35",
    "dim": "2",
    "bold": "1",
}


@dataclass(frozen=True, slots=True)
class Terminal:
    """Width in columns, and whether colour and Unicode may be used."""

    width: int = 100
    colour: bool = False
    unicode: bool = True

    @classmethod
    def of(cls, stream: IO[str] | None) -> Terminal:
        """The terminal behind a stream; a pipe or file gets 100 columns without colour. Honours NO_COLOR,
        FORCE_COLOR, COLUMNS and TERM=dumb.
        """
        is_terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
        colour = (is_terminal or bool(os.environ.get("FORCE_COLOR"))) and not os.environ.get("NO_COLOR")
        columns = os.environ.get("COLUMNS", "")
        width = (
            int(columns) if columns.isdigit() else shutil.get_terminal_size((100, 24)).columns if is_terminal else 100
        )
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
        return cls(max(40, min(width, 120)), colour, encoding.startswith("utf"))

    def paint(self, text: str, style: str) -> str:
        """The text in the style's colour, or as it is."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and style in _CODES else text

    def wrap(self, text: str, *, indent: int, first: str | None = None) -> list[str]:
        """Lines of the text, indented; `first` stands at the start of the first line instead of blanks."""
        lead = " " * indent if first is None else first.ljust(indent) if first else ""
        return textwrap.wrap(
            self.plain(text),
            self.width,
            initial_indent=lead,
            subsequent_indent=" " * indent,
            break_long_words=True,
            break_on_hyphens=False,
        ) or [lead.rstrip()]

    def plain(self, text: str) -> str:
        """The text without control characters, which could command the terminal."""
        return self.fit("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))

    def fit(self, text: str) -> str:
        """The text as it is, or in ASCII where the stream can hold no more."""
        return text if self.unicode else text.translate(ASCII).encode("ascii", "replace").decode()

    def marks(self, start: float, end: float, width: int) -> str:
        """A row that marks the part from `start` to `end` (shares of the width, 0 to 1) under a drawing."""
        first = min(width - 1, max(0, int(start * width)))
        last = min(width, max(first + 1, round(end * width)))
        return " " * first + "^" * (last - first)

    def spark(self, values: Sequence[float], width: int = 32) -> str:
        """A curve as a row of bars, lowest to highest; values that are not finite are left out."""
        values = [v for v in values if math.isfinite(v)]
        if len(values) < 2:
            return ""
        # Below one by a power of two, which is exact: sums and spans of huge values are finite, too.
        exponent = math.frexp(max(map(abs, values)))[1] + 1
        values = [math.ldexp(v, -exponent) for v in values]
        bars = BARS if self.unicode else PLAIN_BARS
        groups = (
            [values[i * len(values) // width : (i + 1) * len(values) // width] for i in range(min(width, len(values)))]
            if len(values) > width
            else [[v] for v in values]
        )
        means = [sum(g) / len(g) for g in groups if len(g)]
        low, high = min(means), max(means)
        span = high - low or 1.0
        return "".join(bars[min(7, int((m - low) / span * 8))] for m in means)
