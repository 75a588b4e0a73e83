"""YAML as inert data: no tag ever makes an object, aliases cannot blow up, every value knows its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from runvet.run import Plain

DEPTH = 60  # nesting that a configuration may have
VALUES = 5_000  # values taken from one file
_BASE: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FLOAT = re.compile(r"[+-]?\d+(?:\.\d*)?[eE][+-]?\d+")  # 1e-4, which YAML 1.1 takes for a word


@dataclass(frozen=True, slots=True)
class Found:
    """One value: its keys from the outside in, and its 1-based line. `tag` is a foreign tag on a whole node."""

    keys: tuple[str, ...]
    value: Plain
    line: int


def values(text: str) -> Iterator[Found]:
    """The values of all documents of a YAML text.

    Raises ValueError naming the line where it is no YAML; what stands before was already given where possible.
    """
    _check_depth(text)
    loader = _BASE(text)
    left = VALUES
    try:
        while loader.check_node():
            for found in _walk(loader.get_node(), (), loader, ()):
                left -= 1
                if left < 0:
                    raise ValueError(f"more than {VALUES} values: hardly a configuration; the first ones are kept")
                yield found
    except yaml.YAMLError as error:
        raise ValueError(_words(error)) from None
    finally:
        loader.dispose()


def _check_depth(text: str) -> None:
    """Raises ValueError for nesting that would exhaust the stack; events are made without recursion."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_BASE):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEPTH:
                    raise ValueError(f"nested more than {DEPTH} levels deep")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return  # named, with what stands before it, when the values are taken
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _walk(node: yaml.Node, keys: tuple[str, ...], loader: yaml.SafeLoader, above: tuple[int, ...]) -> Iterator[Found]:
    line = node.start_mark.line + 1
    if id(node) in above or len(keys) > DEPTH:
        return  # an alias to a node around it
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            merged = isinstance(key, yaml.ScalarNode) and key.tag == "tag:yaml.org,2002:merge"
            yield from _walk(item, keys if merged else (*keys, name), loader, (*above, id(node)))
    elif isinstance(node, yaml.SequenceNode):
        if all(isinstance(item, yaml.ScalarNode) for item in node.value):
            yield Found(keys, [_scalar(item, loader) for item in node.value[:256]], line)
        else:
            for i, item in enumerate(node.value[:256]):
                yield from _walk(item, (*keys, str(i)), loader, (*above, id(node)))
    else:
        yield Found(keys, _scalar(node, loader), line)


def _scalar(node: yaml.Node, loader: yaml.SafeLoader) -> Plain:
    """The value of a scalar by its plain YAML type; anything with another tag stays the word it is."""
    kind = node.tag.rsplit(":", 1)[-1]
    try:
        if node.tag.startswith("tag:yaml.org,2002:") and kind in ("int", "float", "bool", "null"):
            made: Plain = getattr(loader, f"construct_yaml_{kind}")(node)
            return made
    except (ValueError, OverflowError, IndexError):
        return str(node.value)[:2_000]
    text = str(node.value)
    if kind == "str" and getattr(node, "style", None) not in ("'", '"', "|", ">") and _FLOAT.fullmatch(text):
        return float(text)
    return text[:2_000]


def _words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
