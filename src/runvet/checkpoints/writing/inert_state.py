"""A state as a tree of tensors and plain values, which loads without running any code; and the names of its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from runvet.checkpoints.writing.errors import need_torch

if TYPE_CHECKING:
    import torch

DEPTH = 60
NAME, KEY = 400, 200  # as much of a name as the reader keeps
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PLACE = "runvet-tensor:"  # stands for a tensor that is kept elsewhere, followed by its name


def stable(name: str) -> str:
    """A parameter's name without what torch.compile, FSDP and activation checkpointing put in between."""
    return _WRAPPERS.sub("", name)


def stable_keys(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state's entries under stable names; a `module.` that all of them begin with (DDP) goes too.

    Raises ValueError where two names would become one.
    """
    names = {key: stable(str(key)) for key in state}
    while names and all(n.startswith("module.") for n in names.values()):
        names = {key: stable(n[len("module.") :]) for key, n in names.items()}
    made = {names[key]: value for key, value in state.items()}
    if len(made) != len(state):
        raise ValueError("two entries of a state have the same name once the wrappers' prefixes are gone")
    return made


def inert(value: Any, name: str = "", depth: int = 0) -> Any:
    """The same tree in fresh containers with values that `torch.load(weights_only=True)` takes.

    Parameters become tensors, arrays become tensors, numpy numbers become Python's. Tensors are not copied.
    Raises TypeError with the name of the first value that only unpickling could bring back.
    """
    torch = need_torch()
    if depth > DEPTH:
        raise TypeError(f"{name[:120]}: nested more than {DEPTH} deep")
    if isinstance(value, torch.Tensor):
        return _tensor(value, name)
    if value is None or type(value) in (bool, int, float, str, complex, bytes):
        return value
    if isinstance(value, np.generic):
        return inert(value.item(), name, depth)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise TypeError(f"{name}: an array of {value.dtype} can't be saved without pickle")
        return torch.from_numpy(np.array(value, order="C"))
    if isinstance(value, Mapping):
        made = {_key(k, name): inert(v, joined(name, k), depth + 1) for k, v in value.items()}
        return Counter(made) if isinstance(value, Counter) else made
    if isinstance(value, (list, tuple)):
        items = [inert(v, joined(name, i), depth + 1) for i, v in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, (set, frozenset)):
        return {inert(v, name, depth + 1) for v in value}
    if isinstance(value, (bool, int, float, str)):  # a subclass, such as an enumeration of texts
        return next(t(value) for t in (int, float, str) if isinstance(value, t))
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value)
    raise TypeError(
        f"{name or 'the state'}: a {type(value).__module__}.{type(value).__qualname__} loads only by running code;"
        " give its state_dict(), or plain values and tensors"
    )


def tensors(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of an inert tree, in the order and under the name in which the static reader lists it."""
    torch = need_torch()
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from tensors(child, joined(name, key))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from tensors(child, joined(name, index))


def mapped(value: Any, change: Callable[[str, torch.Tensor], Any], name: str = "") -> Any:
    """The same tree with every tensor replaced by `change(name, tensor)`."""
    torch = need_torch()
    if isinstance(value, torch.Tensor):
        return change(name, value)
    if isinstance(value, Counter):
        return value
    if isinstance(value, Mapping):
        return {k: mapped(v, change, joined(name, k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(v, change, joined(name, i)) for i, v in enumerate(value))
    return value


def split(value: Any, kept: Callable[[str], bool]) -> tuple[Any, dict[str, torch.Tensor]]:
    """The tree with marks in place of the tensors whose names `kept` takes, and those tensors by name."""
    apart: dict[str, torch.Tensor] = {}

    def take(name: str, tensor: torch.Tensor) -> Any:
        if not kept(name):
            return tensor
        apart[name] = tensor
        return _PLACE + name

    return mapped(value, take), apart


def merged(value: Any, apart: Mapping[str, torch.Tensor]) -> Any:
    """The tree of `split` with its tensors back. Raises KeyError where one is missing."""
    if isinstance(value, str) and value.startswith(_PLACE):
        return apart[value[len(_PLACE) :]]
    if isinstance(value, Counter):
        return value
    if isinstance(value, Mapping):
        return {k: merged(v, apart) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(merged(v, apart) for v in value)
    return value


def joined(name: str, key: Any) -> str:
    """A child's dotted name, as the static reader forms it."""
    text = (
        key
        if isinstance(key, str)
        else str(key)[:40]
        if isinstance(key, (int, float, bytes))
        else f"<{type(key).__name__}>"
    )
    return f"{name}.{text[:KEY]}"[:NAME] if name else text[:KEY]


def _key(key: Any, name: str) -> Any:
    if key is None or type(key) in (bool, int, float, str):
        return key
    if isinstance(key, (np.generic, np.str_)):
        return key.item()
    if isinstance(key, tuple):
        return tuple(_key(k, name) for k in key)
    if isinstance(key, (int, float, str)):
        return next(t(key) for t in (int, float, str) if isinstance(key, t))
    raise TypeError(f"{name or 'the state'}: a key of class {type(key).__qualname__} can't be saved without pickle")


def _tensor(value: torch.Tensor, name: str) -> torch.Tensor:
    torch = need_torch()
    plain = value.detach()
    if type(plain) is not torch.Tensor and type(plain).__name__ not in ("DTensor", "FakeTensor", "Buffer"):
        raise TypeError(
            f"{name}: a tensor of class {type(plain).__qualname__} loads only by running code; save its parts"
        )
    if plain.is_meta:
        raise TypeError(f"{name}: a tensor on the meta device has no values that could be saved")
    return plain
