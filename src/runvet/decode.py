"""Plain values (from JSON) back into frozen dataclasses, by their annotations, with errors that name the field."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def record(kind: type[T], data: Mapping[str, Any], at: str = "") -> T:
    """An object of the dataclass `kind`. Fields that it does not have are left out.

    Raises ValueError for a field that is missing without a default, or of the wrong type.
    """
    known: dict[str, Any] = {}
    hints = _hints(kind)
    for f in fields(kind):  # type: ignore[arg-type]  # the caller passes a dataclass
        place = f"{at}.{f.name}" if at else f.name
        if f.name in data:
            known[f.name] = value(hints[f.name], data[f.name], place)
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ValueError(f"{place} is missing")
    return kind(**known)


def value(kind: Any, data: Any, at: str) -> Any:
    """One value of the annotated type. Raises ValueError."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), data, at)
    if origin is Literal:
        if data not in get_args(kind):
            raise ValueError(f"{at} is {data!r}, not one of {', '.join(map(str, get_args(kind)))}")
        return data
    if origin is tuple:
        return _tuple(get_args(kind)[0], data, at)
    if is_dataclass(kind):
        if not isinstance(data, Mapping):
            raise ValueError(f"{at} must be an object, not {_named(data)}")
        return record(kind, data, at)  # type: ignore[arg-type]  # is_dataclass also allows instances
    wanted: Any = {float: (int, float), dict: Mapping}.get(origin or kind, origin or kind)
    if not isinstance(data, wanted) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{at} must be {getattr(kind, '__name__', kind)}, not {_named(data)}")
    return data


def items(data: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects that may be missing. Raises ValueError."""
    if not isinstance(data, Mapping):
        raise ValueError(f"the object that holds {name} is {_named(data)}")
    found = data.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise ValueError(f"{name} must be a list of objects")
    return found


def numbers(data: Mapping[str, Any], name: str, fields: Sequence[str]) -> Mapping[str, Any]:
    """An object that may be missing, whose fields of these names are numbers where they are there; null ones are left
    out, others kept as they are. Raises ValueError.
    """
    found = data.get(name, {})
    if not isinstance(found, Mapping):
        raise ValueError(f"{name} must be an object, not {_named(found)}")
    for field in fields:
        told = found.get(field)
        if told is not None and (isinstance(told, bool) or not isinstance(told, (int, float))):
            raise ValueError(f"{name}.{field} must be a number, not {_named(told)}")
    return {k: v for k, v in found.items() if k not in fields or v is not None}


def _tuple(kind: Any, data: Any, at: str) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise ValueError(f"{at} must be a list, not {_named(data)}")
    return tuple(value(kind, entry, f"{at}[{i}]") for i, entry in enumerate(data))


def _union(kinds: Sequence[Any], data: Any, at: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    plain = [k for k in kinds if k is not type(None)]
    fits = next((k for k in plain[:-1] if _fits(k, data)), plain[-1])
    return value(fits, data, at)


def _fits(kind: Any, data: Any) -> bool:
    """Whether a plain value is of a plain type: unions here are of numbers, words and at most one object."""
    return isinstance(kind, type) and isinstance(data, kind) and not isinstance(data, bool)


def _named(data: Any) -> str:
    return "null" if data is None else type(data).__name__


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _KNOWN:
        _KNOWN[kind] = get_type_hints(kind)
    return _KNOWN[kind]


_KNOWN: dict[type, dict[str, Any]] = {}  # resolving annotations is slow, and curves have many
