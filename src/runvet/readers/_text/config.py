"""Configuration that a program prints: `Namespace(…)`, dictionaries, and banners of `key: value` lines."""

from __future__ import annotations

import re

from runvet.run import Plain

SETTINGS = 5_000  # values kept of one file

_CALL = re.compile(
    r"\b(?:Namespace|TrainingArguments|TrainConfig|TrainingConfig|Config|Args|Arguments|HParams|\w{1,30}Config|\w{1,30}Args)\((?=\s{0,3}(?:\*\*\{)?['\w])"
)
_LINE = re.compile(
    r"^(?P<in>[\s|>]{0,60}(?:[-*#]\s{1,3}(?:\|-\s{0,3}){0,6})?|\s{0,4}(?:\|-\s{0,3}){1,8})(?:--)?(?P<key>[A-Za-z_][\w./\-]{0,60}(?: [\w./\-]{1,30}){0,4}?)"
    r"(?:\s{0,40}[:=]\s{0,40}(?P<value>\S.{0,500})?|\t{1,4}(?P<tab>\S.{0,500}))$"
)
_DEFAULT = re.compile(r"\s{1,40}\[default: [^\]]{0,200}\]\s*$|\s{2,40}#.{0,200}$")
_CHANGES = 3  # a number that changes more often is none of a configuration, even of one printed at every restart
_CLOSE = {"(": ")", "[": "]", "{": "}"}


def call_body(text: str) -> str | None:
    """What stands in the brackets of an echoed `Namespace(…)` or configuration object, or None."""
    match = _CALL.search(text, 0, 400)
    if match is None:
        return None
    body = text[match.end() :].rstrip()
    return body[:-1] if body.endswith(")") else body


def pairs(body: str, assign: str = "=") -> list[tuple[str, Plain]]:
    """The `key=value` items of a call, or the `'key': value` items of a dictionary, at the top level."""
    items: list[tuple[str, Plain]] = []
    for part in _top_level(body):
        key, found, value = part.partition(assign)
        key = key.strip().strip("'\"*{ ")
        if found and key and len(key) <= 120 and " " not in key:
            items.append((key, plain(value)))
    return items


def _top_level(body: str) -> list[str]:
    parts: list[str] = []
    depth, start, quote = 0, 0, ""
    for index, char in enumerate(body[:60_000]):
        if quote:
            if char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in _CLOSE:
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth <= 0:
            parts.append(body[start:index])
            start = index + 1
    parts.append(body[start:60_000])
    return parts[:3_000]


def plain(text: str) -> Plain:
    """A printed value as number, truth value, None, list of such, or text."""
    text = text.strip().rstrip(",").strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1][:500]
    if text in {"True", "true"}:
        return True
    if text in {"False", "false"}:
        return False
    if text in {"None", "null", ""}:
        return None
    if len(text) < 40 and (text[0].isdigit() or text[0] in "-+."):
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            pass
    if text[0] in "[(" and text[-1] in "])" and len(text) < 500 and not any(c in text[1:-1] for c in "[({"):
        return [plain(p) for p in text[1:-1].split(",") if p.strip()]
    return text[:500]


class Echo:
    """Follows banners of `key: value` lines; deeper lines under `KEY:` get its name before theirs."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, str]] = []
        self._lines = self._words = 0
        self._keys: set[str] = set()
        self._numbers: dict[str, tuple[float, int]] = {}  # the last number of a key, and how often it has changed

    def varies(self, key: str, value: Plain) -> bool:
        """Whether a key that came before keeps changing its number: a report that is printed again and again."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        last, changes = self._numbers.get(key, (value, 0))
        changes += last != value
        if key in self._numbers or len(self._numbers) < SETTINGS:
            self._numbers[key] = (value, changes)
        return changes >= _CHANGES

    @property
    def within(self) -> bool:
        """Whether the line just taken stands in a banner: several such lines in a row, some with words as values."""
        return self._lines > 3 and self._words > 1

    def take(self, text: str) -> tuple[str, Plain] | None:
        """The setting of one line, or None. A line `KEY:` without a value opens a group."""
        if len(text) > 800:
            return None
        match = _LINE.match(text)
        if match is None:
            if text[:1] not in " \t|":
                self._stack.clear()
            if text.lstrip()[:1] not in {"-", "]", "}"}:
                self._lines = self._words = 0
                self._keys.clear()
            return None
        depth = len(match["in"].expandtabs(4)) + 2 * match["in"].count("|-")
        key = match["key"].strip()
        while self._stack and self._stack[-1][0] >= depth:
            self._stack.pop()
        value = match["value"] or match["tab"]
        path = ".".join([*(k for _, k in self._stack), key])
        if path in self._keys or len(self._keys) > 20_000:
            self._keys.clear()
            self._lines = self._words = 0
        self._keys.add(path)
        self._lines += 1
        self._words += value is None or not (
            value[0].isdigit() or value[1:2].isdigit() or value[:3].lower() in {"nan", "inf", "-in"}
        )
        if value is None:
            if text.rstrip().endswith(":") and len(self._stack) < 12 and " " not in key:
                self._stack.append((depth, key))
            return None
        if value.endswith(("(", "{", "[")):
            return None
        return path[:200], plain(_DEFAULT.sub("", value))
