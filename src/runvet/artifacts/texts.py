"""Text samples: one a line or one a file, and what shows that a language model goes round in circles."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runvet.artifacts.model import Contents, UnreadableError
from runvet.artifacts.opening import start_of

BYTES = 8 << 20
MOST = 20_000  # texts of one file
KEYS = ("text", "completion", "output", "generated", "generated_text", "generation", "response", "sample", "prediction", "answer", "content", "caption")  # fmt: skip
GRAM = 4  # words of the sequences that are counted
PROSE = 40  # characters of the median record from which equal records are the same one
DEEP = 8  # levels of lists and mappings within a record
_NO_CONTENT = frozenset(
    "id ids idx index uuid guid key row line no num number label labels target class category split fold subset".split()
)
_NAME = re.compile(r"[a-z]+")
LONG = 13  # words that two texts share only where one is a copy (the usual length in tests for contamination)


def read_text(path: Path) -> Contents:
    """A text file: the plain value is a list of its texts (see `split`). Raises UnreadableError for binary files."""
    data = start_of(path, BYTES)
    if b"\0" in data[:4096]:
        raise UnreadableError("no text")
    note = (f"the first {BYTES:,} bytes are read",) if len(data) > BYTES else ()
    return Contents({}, note, split(data[:BYTES].decode("utf-8", "replace")))


def split(text: str) -> list[str]:
    """The samples of a file: parted by rulers (`-----`, `=====`) or else by lines where most lines are long, else one.

    Lines of less than 20 characters in the median belong to one text (verse, code, a play); so do lines of less than 60
    with empty ones between them (stanzas, functions, paragraphs): an empty line is an empty sample only among long ones.
    """
    lines = text.splitlines()
    rulers = [n for n, line in enumerate(lines) if len(s := line.strip()) >= 3 and len(set(s)) == 1 and s[0] in "-=*#~"]
    if rulers:
        parts, before = [], 0
        for at in [*rulers, len(lines)]:
            parts.append("\n".join(lines[before:at]).strip())
            before = at + 1
        return [p for p in parts if p][:MOST]
    lengths = sorted(len(line) for line in lines if line.strip())
    parted = any(not line.strip() for line in text.strip().splitlines())
    if len(lengths) >= 3 and lengths[len(lengths) // 2] >= (60 if parted else 20):
        return [line.strip() for line in lines][:MOST]
    return [text.strip()]


def texts_of(contents: Contents) -> list[str]:
    """The texts of a file that was read: lines of a text file, or of records the values of a usual key (`text`, …)."""
    plain = contents.plain
    if isinstance(plain, dict) and plain and all(isinstance(v, list) for v in plain.values()):  # columns
        return next((_strings(plain[k]) for k in KEYS if k in plain), [])
    if not isinstance(plain, list):
        return []
    if plain and all(isinstance(p, dict) for p in plain):
        key = next((k for k in KEYS if isinstance(plain[0].get(k), str)), None)
        return [] if key is None else _strings(p.get(key) for p in plain)
    return _strings(plain) if all(isinstance(p, str) for p in plain) else []


def _strings(values: Iterable[Any]) -> list[str]:
    return [v for v in values if isinstance(v, str)][:MOST]


def records_of(contents: Contents) -> list[str]:
    """One text for each record of a table: all it holds but its number, label and split; empty where records hold no prose.

    `contents.plain` is a list of records, or columns of texts. Prose is a value of several words; short ones (commands,
    yes and no) are the same in many records by nature.
    """
    plain = contents.plain
    if isinstance(plain, dict) and plain and all(isinstance(v, list) for v in plain.values()):
        columns = [v[:MOST] for v in plain.values()]
        if len({len(c) for c in columns}) > 1:
            return []
        plain = [dict(zip(plain, row, strict=True)) for row in zip(*columns, strict=True)]
    if not isinstance(plain, list) or not plain or not all(isinstance(p, dict) for p in plain):
        return []
    rows: list[dict[str, Any]] = plain[:MOST]
    names = [
        n
        for n in rows[0]
        if isinstance(n, str) and not (_NO_CONTENT & set(_NAME.findall(n.lower()))) and not _numbers_rows(rows, n)
    ]
    told = [" ".join(t for n in names for t in _leaves(row.get(n))) for row in rows]
    lengths = sorted(len(t) for t in told)
    prose = sum(t.count(" ") >= 3 for t in told)
    return told if lengths[len(lengths) // 2] >= PROSE and 10 * prose >= 9 * len(told) else []


def _numbers_rows(rows: Sequence[dict[str, Any]], name: str) -> bool:
    """Whether a column only numbers the records: whole numbers, each of them once."""
    values = [row.get(name) for row in rows]
    return len(rows) > 1 and all(isinstance(v, int) for v in values) and len(set(values)) == len(values)


def _leaves(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts and numbers of a value, in order."""
    if isinstance(value, dict) and depth < DEEP:
        for inner in value.values():
            yield from _leaves(inner, depth + 1)
    elif isinstance(value, list) and depth < DEEP:
        for inner in value[:MOST]:
            yield from _leaves(inner, depth + 1)
    elif isinstance(value, (str, int, float)):
        yield str(value)


def repetition(text: str) -> float:
    """The share of a text's sequences of four words that came before in it; NaN for fewer than 40 words.

    Prose of a few hundred words stays below 0.1. (`seq-rep-4` of Welleck et al. 2020, arXiv 1908.04319.)
    """
    words = text.split()
    if len(words) < 40:
        return float("nan")
    grams = Counter(zip(*(words[i:] for i in range(GRAM)), strict=False))
    return 1 - len(grams) / sum(grams.values())


def loops(text: str) -> float:
    """How much of the text's bytes compression saves, 0..1: for texts without spaces; NaN below 200 bytes."""
    data = text.encode("utf-8", "replace")
    return 1 - len(zlib.compress(data, 6)) / len(data) if len(data) >= 200 else float("nan")


def copied(text: str, known: frozenset[int]) -> float:
    """The share of a text's sequences of 13 words that stand in other texts too (`known` from `sequences`)."""
    own = sequences([text])
    return len(own & known) / len(own) if own else float("nan")


def sequences(texts: Sequence[str]) -> frozenset[int]:
    """Hashes of all sequences of 13 words, lower case, of some texts: at most a few million."""
    found: set[int] = set()
    for text in texts:
        words = text.lower().split()
        found.update(hash(tuple(words[i : i + LONG])) for i in range(len(words) - LONG + 1))
        if len(found) > 4_000_000:
            break
    return frozenset(found)
