"""YAML files that describe sensors and poses of a data set: plain values, nothing of Python's is built."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import yaml

from runvet.artifacts.model import Contents, UnreadableError
from runvet.artifacts.opening import start_of
from runvet.artifacts.tables import columns

BYTES = 4 << 20  # OPV2V frames have 10 to 200 kB
_FLOATS = {8: "<d", 4: "<f"}
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")


_BASE: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NODES = 300_000  # values of one file, those that aliases repeat counted each time


class _Loader(_BASE):  # type: ignore[misc]
    """A safe loader that reads the numbers numpy left (its scalars as bytes), and None for all else of Python's."""


def _of_python(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    """A numpy scalar as the float that its bytes are; every other object of Python's as None, unbuilt."""
    if suffix.endswith(_SCALAR) and isinstance(node, yaml.SequenceNode) and len(node.value) == 2:
        raw = loader.construct_object(node.value[1])
        if isinstance(raw, bytes) and len(raw) in _FLOATS:
            return struct.unpack(_FLOATS[len(raw)], raw)[0]
    return None


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _of_python)


def read_yaml(path: Path) -> Contents:
    """A YAML file as plain values. Raises UnreadableError."""
    data = start_of(path, BYTES)
    return parsed(data)


def parsed(data: bytes) -> Contents:
    """YAML bytes as plain values and numeric columns. Raises UnreadableError."""
    if len(data) > BYTES:
        raise UnreadableError(f"more than the {BYTES:,} bytes of YAML that are read")
    try:
        loader = _Loader(data)
        node = loader.get_single_node()
        _bounded(node)
        plain = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise UnreadableError(f"no YAML: {str(error).splitlines()[0][:100]}") from None
    return Contents(columns(plain), plain=plain)


def _bounded(root: yaml.Node | None) -> None:
    """Raise UnreadableError where aliases unfold to more than the bound: a few lines can mean gigabytes."""
    waiting, seen = [root] if root is not None else [], 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > NODES:
            raise UnreadableError(f"more than {NODES:,} values of YAML")
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
