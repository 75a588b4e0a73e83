"""Tables: boxes of `| name | value |`, rows under a header, columns aligned by blanks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runvet.readers._text import words
from runvet.readers._text.atoms import NUMBER, number

_COLUMNS = re.compile(r"\s{2,}|\t+|\s\|\s")
_RULE = re.compile(r"^[\s|+:=\-─━┌┐└┘├┤┬┴┼╭╮╰╯╞╡═]{4,}$")
_NUMERIC = re.compile(
    r"[-+]?(?:[\d.,]{1,40}(?:[eE][-+]?\d{1,4})?|nan|inf)(?:\s?[%A-Za-z]{0,4})?$|[-+]?(?:nan|inf)$", re.I
)
_NO_METRICS = re.compile(
    r"(?i)param|module|shape|arguments|layer|dtype|size \(|version|driver|pid|process|cpu time|cuda time|self cpu"
)
_CLOCK = re.compile(r"(?:\d{1,3}:){1,2}\d{1,2}$")


def value_of(cell: str) -> float | None:
    """The number that a cell holds (with at most a short unit), or None. A clock is seconds."""
    cell = cell.strip().strip("*`")
    if _CLOCK.match(cell):
        total = 0.0
        for part in cell.split(":"):
            total = total * 60 + float(part)
        return total
    if not _NUMERIC.match(cell):
        return None
    match = NUMBER.match(cell)
    return number(match[1]) if match else None


@dataclass(slots=True)
class Box:
    """Collects `| name | value |` rows until the box ends; a heading row such as `| train/ | |` goes before the names under it."""

    rows: dict[str, float] = field(default_factory=dict)
    header: list[str] = field(default_factory=list)
    section: str = ""
    line: int = 0

    def take(self, text: str, line: int) -> bool:
        """Whether the row belongs to a box of names and values."""
        raw = text.strip()[1:-1].split("|")
        cells = [c.strip() for c in raw]
        if len(cells) != 2:
            return False
        name, value = cells[0].rstrip(":= "), value_of(cells[1])
        if value is None:
            if not cells[1] and name.endswith("/"):
                self.section = name
            return bool(self.section)
        if not any(c.isalpha() for c in name) or len(self.rows) > 2_000:
            return False
        if self.section and not raw[0].startswith("  "):
            self.section = ""
        self.rows[(self.section + name)[:120]] = value
        self.line = self.line or line
        return True

    def done(self) -> tuple[dict[str, float], int]:
        """The values of the box that ends here, and its first line."""
        rows, line = self.rows, self.line
        self.rows, self.section, self.line = {}, "", 0
        return rows, line


@dataclass(slots=True)
class Columns:
    """Remembers the headers of tables and names the cells of rows that fit one."""

    headers: dict[int, list[str]] = field(default_factory=dict)

    def header(self, text: str) -> bool:
        """Whether the line is a header whose columns are metrics; it is then remembered."""
        if len(text) > 2_000:
            return False
        cells = [c for c in _COLUMNS.split(text.strip().strip("|").strip()) if c]
        if not 3 <= len(cells) <= 60 or any(len(c) > 40 or value_of(c) is not None for c in cells):
            return False
        if (
            _NO_METRICS.search(text)
            or len(set(cells)) != len(cells)
            or any(mark in text for mark in ("=", ": ", "..."))
        ):
            return False
        known = sum(words.is_metric(c) for c in cells) + sum(words.position(c) is not None for c in cells)
        leads = words.position(cells[0]) is not None and len(cells) > 3
        if known < 2 and not leads:
            return False
        self.headers[len(cells)] = [c.rstrip(":") for c in cells]
        if len(self.headers) > 20:
            del self.headers[next(iter(self.headers))]
        return True

    def row(self, text: str) -> tuple[dict[str, float], dict[str, str]] | None:
        """Values and texts of a row under a known header: by column, or None when it fits none."""
        cells = [c for c in _COLUMNS.split(text.strip().strip("|:").strip()) if c]
        names = self.headers.get(len(cells))
        if names is None:
            cells = text.strip().strip("|:").split()
            names = self.headers.get(len(cells))
        if names is None:
            return None
        values = {n: v for n, c in zip(names, cells, strict=True) if (v := value_of(c)) is not None}
        texts = {n: c for n, c in zip(names, cells, strict=True) if n not in values}
        if len(values) * 2 < len(cells) or any(value_of(c) is None and "/" not in c for c in cells[1:] if len(c) > 20):
            return None
        return values, texts


def is_rule(text: str) -> bool:
    """Whether a line only draws."""
    return _RULE.match(text) is not None
