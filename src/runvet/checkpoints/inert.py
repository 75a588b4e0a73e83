"""What a pickle holds once it has been interpreted: names and numbers only, nothing that can run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Global:
    """A class or function that the pickle names, never looked up."""

    name: str  # 'torch._utils._rebuild_tensor_v2'


@dataclass(slots=True, eq=False)
class Call:
    """An object which a loader would make by calling `name`: its arguments, its state, what was put into it."""

    name: str
    args: Any = ()
    state: Any = None
    items: list[Any] | None = None
    pairs: dict[Any, Any] | None = None


@dataclass(slots=True, eq=False)
class Blob:
    """Bytes too long to keep: their place in the pickle's window. `text` where they are UTF-8 of a string."""

    offset: int
    length: int
    text: bool = False


@dataclass(slots=True, eq=False)
class Storage:
    """The memory below tensors: `count` elements of `dtype`, stored under `key`, or pickled itself in `nested`."""

    key: str
    dtype: str
    count: int
    device: str = "cpu"
    nested: bytes | Blob | None = None


@dataclass(slots=True, eq=False)
class TensorRef:
    """A tensor as its pickle describes it. `inner` are the stored parts of a sparse tensor, values last."""

    storage: Storage | None
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str
    layout: str = "dense"
    inner: tuple[TensorRef, ...] = ()


@dataclass(slots=True, eq=False)
class DTypeRef:
    """numpy.dtype('f4') with the byte order that its state gives."""

    code: str
    order: str = "<"


@dataclass(slots=True, eq=False)
class ArrayRef:
    """A numpy array: `data` its bytes, None until the pickle's BUILD gives them; `latin1` where they were sent as text."""

    shape: tuple[int, ...] = ()
    dtype: DTypeRef | None = None
    fortran: bool = False
    data: Any = None


@dataclass(slots=True)
class Pickle:
    """An interpreted pickle: its value, where it ended, and every name that it would import."""

    value: Any
    end: int
    names: dict[str, bool] = field(default_factory=dict)  # name -> called
