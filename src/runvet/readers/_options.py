"""Configurations as text: `Namespace(lr=0.1, …)`, `key: value` dumps of options, ini files; read, never evaluated."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator

from runvet.run import Plain

_CALL = re.compile(r"\b(?:Namespace|SimpleNamespace|EasyDict|AttrDict|Config|\w*Args|\w*Arguments|\w*Config)\(")
_PAIR = re.compile(r"\s*(?:--)?([A-Za-z_][\w.\-/ ]{0,80}?)\s*(?::|=|\s{2,}|\t)\s*(.*?)\s*(?:\[default: .*\])?\s*$")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)", re.IGNORECASE)


def word(text: str) -> Plain:
    """A value as it was meant: number, boolean, None, quoted or bare word, or a list of those."""
    text = text.strip().rstrip(",")
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    plain = {"true": True, "false": False, "none": None, "null": None, "yes": True, "no": False}
    if text.lower() in plain:
        return plain[text.lower()]
    if text[:1] in "[('\"" and len(text) < 10_000:
        try:
            return literal(ast.parse(text, mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    return text[:2_000]


def literal(node: ast.expr) -> Plain:
    """The value of a parsed expression made of literals; any other expression is its own source text."""
    if isinstance(node, ast.Constant):
        value = node.value
        return value if value is None or isinstance(value, bool | int | float | str) else str(value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, int | float) else ast.unparse(node)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [literal(item) for item in node.elts[:256]]
    if isinstance(node, ast.Dict):
        return {str(literal(k)) if k else "**": literal(v) for k, v in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.Name) and node.id in ("nan", "inf"):
        return float(node.id)
    return ast.unparse(node)[:2_000]


def namespaces(text: str) -> Iterator[tuple[str, Plain, int]]:
    """Key, value and line of every keyword in the `Namespace(…)`-like calls of a text."""
    for match in _CALL.finditer(text[: 1 << 20]):
        end = _closing(text, match.end() - 1)
        if end is None:
            continue
        line = text.count("\n", 0, match.start()) + 1
        source = re.sub(r"<[^<>()]{0,200}>", "None", text[match.start() : end])
        try:
            node = ast.parse(source.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        yield from _keywords(node, "", line, 0)


def _keywords(node: ast.expr, prefix: str, line: int, depth: int) -> Iterator[tuple[str, Plain, int]]:
    for keyword in node.keywords if isinstance(node, ast.Call) else []:
        if keyword.arg is None:
            continue
        key = f"{prefix}{keyword.arg}"
        if isinstance(keyword.value, ast.Call) and keyword.value.keywords and depth < 8:
            yield from _keywords(keyword.value, f"{key}.", line, depth + 1)
        else:
            yield key, literal(keyword.value), line + keyword.value.lineno - 1


def _closing(text: str, start: int, limit: int = 100_000) -> int | None:
    """The place after the bracket that closes the one at `start`; brackets inside quotes do not count."""
    depth = 0
    for match in re.finditer(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|[()]", text[start : start + limit]):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return start + match.end()
    return None


def pairs(text: str) -> tuple[list[tuple[str, Plain, int]], int]:
    """Key, value and line of every `key: value`, `key = value` or `--key value` line, and how many lines are none."""
    found, other = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "//")) or not line.strip(" -=_*#") or _title(line):
            continue
        match = _PAIR.fullmatch(line[:4_000])
        if match:
            found.append((match[1].strip().replace(" ", "_"), word(match[2]), number))
        else:
            other += 1
    return found, other


def _title(line: str) -> bool:
    return re.fullmatch(r"\s*[-=*#_]{3,}.*[-=*#_]{3,}\s*", line) is not None


def ini(text: str) -> Iterator[tuple[str, Plain]]:
    """Dotted keys and values of an ini file, without interpolation. Raises ValueError naming the line."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).splitlines()[0]) from None
    for section in parser.sections():
        for key, value in parser.items(section):
            yield f"{section}.{key}", word(value or "")
