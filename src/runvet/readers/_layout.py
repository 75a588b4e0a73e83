"""What a delimited text looks like: its delimiter, its header, where the data begin."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runvet.readers._axes import axis_of, is_metric_name, normal
from runvet.readers._cells import BLANK, is_number

SAMPLE = 60  # lines that decide


@dataclass(frozen=True, slots=True)
class Layout:
    """`names` are the columns (made unique), `skip` the physical lines before the first row, `comments` those that
    begin with `#`. `headed` is False where the file has no header and the names are made up.
    """

    delimiter: str
    names: tuple[str, ...]
    skip: int
    headed: bool
    comments: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # the first data rows


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line. A space stands for any run of blanks, a `|` line may begin and end with one."""
    if delimiter == " ":
        return line.split()
    if delimiter == "|":
        line = line.strip().removeprefix("|").removesuffix("|")
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def sniff(lines: Sequence[str], stem: str) -> Layout | None:
    """The layout of a text by its first lines, or None where no delimiter gives a regular table with numbers."""
    start, comments = 0, []
    while start < len(lines) and (not lines[start].strip() or lines[start].lstrip().startswith("#")):
        if lines[start].strip():
            comments.append(lines[start].strip())
        start += 1
    body = [line for line in lines[start : start + SAMPLE] if line.strip() and not _rule(line)]
    if not body:
        return None
    delimiter = _delimiter(body)
    table = [split(line, delimiter) for line in body] if delimiter else []
    if not delimiter and len(body) > 1 and all(is_number(line) for line in body[1:]):
        delimiter, table = ",", [[line.strip()] for line in body]
    if not delimiter:
        return None
    header, rest = table[0], table[1:]
    skip = start + 1
    if any(is_number(cell) for cell in header) and not _counts(header):
        commented = split(comments[-1].lstrip("# "), delimiter) if comments else []
        named = len(commented) == len(header) and not any(is_number(c) for c in commented)
        names = commented if named else _made_up(table, stem)
        return Layout(delimiter, _unique(names), start, named, tuple(comments), tuple(map(tuple, table)))
    while rest and all(_rule(cell) for cell in rest[0]):  # |---|---| below the header
        rest, skip = rest[1:], skip + 1
    if rest and len(rest) >= 2 and all(len(row) == len(header) + 1 and row[-1].strip() for row in rest):
        header = ["", *header]  # as R writes it: the index has no name
    return Layout(delimiter, _unique(header), skip, True, tuple(comments), tuple(map(tuple, rest)))


def _delimiter(body: Sequence[str]) -> str:
    """The delimiter that gives the most regular table; '' where none does."""
    best, best_score = "", 0.6
    for delimiter in ("\t", ";", "|", ",", " "):
        counts = Counter(len(split(line, delimiter)) for line in body)
        usual, times = counts.most_common(1)[0]
        first = len(split(body[0], delimiter))
        if usual < 2 or first < 2 or (delimiter == " " and first != usual):
            continue
        score = times / len(body)
        # A CSV that grows columns is less regular, but its every line has the delimiter.
        if delimiter != " " and all(delimiter in line for line in body):
            score = max(score, 0.9)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rule(line: str) -> bool:
    """A line that only draws: `-----`, `|:--|--:|`, `=====`."""
    return bool(line.strip()) and not line.strip(" \t|:-=+_")


def _counts(header: Sequence[str]) -> bool:
    """A header whose numbers are names (`0`, `1`, `2` of a data frame without names) beside real names."""
    return any(axis_of(cell) or is_metric_name(cell) for cell in header if cell.strip() and not is_number(cell))


def _made_up(table: Sequence[Sequence[str]], stem: str) -> list[str]:
    """Names of a table without a header: a first column of growing whole numbers is the step."""
    width = Counter(map(len, table)).most_common(1)[0][0]
    if width == 1:
        return [stem]
    first = [row[0].strip() for row in table if row]
    whole = len(first) > 1 and all(re.fullmatch(r"\d+(?:\.0*)?", cell) for cell in first)
    grows = whole and all(float(b) > float(a) for a, b in pairwise(first))
    names = [f"{stem}/{i}" for i in range(width)]
    if grows:
        names[0] = "step"
        if width == 2:
            names[1] = stem
    return names


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    result = []
    for name in (n.strip().strip("\ufeff").strip('"').strip() for n in names):
        result.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return tuple(result)


def looks_logged(layout: Layout) -> bool:
    """Whether a table has an axis or a metric by name, and numbers where it has rows."""
    known = any((axis_of(n) or ("index",))[0] != "index" or is_metric_name(n) for n in layout.names)
    if not known:
        return False
    cells = [cell for row in layout.rows for cell in row if cell.strip().lower() not in BLANK]
    return not layout.rows or sum(map(is_number, cells)) * 3 >= len(cells) > 0


# What a row stands for where it is no moment of a training: an item, a class, a threshold.
_ITEMS = frozenset(
    "id idx uid sample sample_id item image image_id image_name img img_path file filename file_name path key name user user_id"
    " class class_id class_name category label target threshold thresholds text sentence question prompt".split()
)
_DATA = frozenset("data dataset datasets raw annotations labels splits".split())


def of_items(layout: Layout, folders: Sequence[str]) -> bool:
    """Whether the rows of a table are items (of data, of an evaluation) rather than moments of a training.

    Never where a step or an epoch is counted. Else where the first column names items, classes or thresholds, or
    holds a different word in every row, and where the table lies in a folder of data.
    """
    if any((axis_of(n) or ("index",))[0] in ("step", "epoch") for n in layout.names):
        return False
    lead = normal(layout.names[0])
    if any(f.lower() in _DATA for f in folders) or lead in _ITEMS:
        return True
    first = [row[0].strip() for row in layout.rows if row]
    each = len(first) >= 3 and len(set(first)) == len(first)  # another one in every row
    return each and axis_of(lead) is None and not any(is_number(cell) for cell in first)


def is_header(row: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a row in the middle of a table is a header again: the same one, or another one."""
    cells = [cell.strip() for cell in row]
    if not cells or not cells[0] or cells[0][0] in "0123456789+-.":
        return False
    if cells == list(names):
        return True
    filled = [cell for cell in cells if cell]
    if len(filled) < 2 or len(set(filled)) < len(filled) or any(is_number(c) for c in filled):
        return False
    return sum(c in names or axis_of(c) is not None or is_metric_name(c) for c in filled) * 2 >= len(filled)
