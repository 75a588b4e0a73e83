"""From the inert value of a pickle to tensors with dotted names, plain values, and states that hold nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from runvet.checkpoints.content import Content, Piece, Store, contiguous, placed
from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.inert import ArrayRef, Blob, Call, Global, Storage, TensorRef
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key, role_of_tensor
from runvet.checkpoints.problems import Damaged

DEPTH, NODES, VISITS = 100, 2_000_000, 4
_SHORT_LIST = 16
_NAME = 400
_NUMPY = {"f8": "float64", "f4": "float32", "f2": "float16", "i8": "int64", "i4": "int32", "i2": "int16", "i1": "int8",
          "u8": "uint64", "u4": "uint32", "u2": "uint16", "u1": "uint8", "b1": "bool", "c8": "complex64", "c16": "complex128"}  # fmt: skip

Resolve: TypeAlias = Callable[[Storage], Store]
OpenData: TypeAlias = Callable[[Any], "Store | None"]


class Walk:
    """One walk over an interpreted pickle into a `Content`. `resolve` finds the bytes of a storage, `data` those of an array."""

    __slots__ = ("content", "data", "resolve", "seen")

    def __init__(self, content: Content, resolve: Resolve, data: OpenData) -> None:
        self.content, self.resolve, self.data = content, resolve, data
        self.seen: dict[int, int] = {}

    def run(self, root: Any, role: Role | None) -> None:
        """List everything below the root. What is damaged becomes a problem of the content."""
        self.content.root = _root(root)
        todo: list[tuple[str, Any, int, Role | None]] = [("", root, 0, role)]
        nodes = 0
        while todo:
            name, value, depth, role = todo.pop()
            nodes += 1
            if nodes > NODES or depth > DEPTH:
                self.content.damaged(
                    f"values nested more than {DEPTH} deep" if depth > DEPTH else f"more than {NODES:,} values"
                )
                return
            if isinstance(value, (TensorRef, ArrayRef)):
                self._tensor(name, value, role)
            elif isinstance(value, (dict, list, tuple, Call)):
                if self._again(value):
                    continue
                children = list(self._children(name, value, depth, role))
                todo.extend(reversed(children))
            else:
                self._scalar(name, value, depth)

    def _again(self, value: Any) -> bool:
        """Whether this container was listed often enough: shared ones count under each name, loops must end."""
        if isinstance(value, tuple):
            return False
        count = self.seen[id(value)] = self.seen.get(id(value), 0) + 1
        return count > (1 if isinstance(value, Call) else VISITS)

    def _children(
        self, name: str, value: Any, depth: int, role: Role | None
    ) -> Iterator[tuple[str, Any, int, Role | None]]:
        if isinstance(value, Call):
            yield from ((n, v, depth + 1, role) for n, v in _inside(name, value))
            return
        if isinstance(value, dict):
            if not value and 1 <= depth <= 2:
                self.content.empty_states.append(name[:_NAME])
            for key, child in value.items():
                text = (
                    key
                    if isinstance(key, str)
                    else str(key)[:40]
                    if isinstance(key, (int, float, bytes))
                    else f"<{type(key).__name__}>"
                )
                inner = role
                if role in (None, "model"):
                    container = isinstance(child, (dict, list, tuple, Call))
                    inner = (role_of_key(text) if container else role_of_tensor(text)) or role
                elif role == "other" and isinstance(child, (dict, Call)) and role_of_key(text) == "ema":
                    inner = "ema"
                yield _join(name, text), child, depth + 1, inner
            return
        if len(value) > _SHORT_LIST and not any(
            isinstance(v, (dict, list, tuple, Call, TensorRef, ArrayRef)) for v in value
        ):
            self.content.note(name, f"(list of {len(value)})", top=depth <= 1)
            return
        yield from ((_join(name, str(i)), child, depth + 1, role) for i, child in enumerate(value))

    def _scalar(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, Global):
            value = value.name
        if value is None or isinstance(value, (bool, int, float, str)):
            self.content.note(name, value, top=depth <= 1)

    def _tensor(self, name: str, value: TensorRef | ArrayRef, role: Role | None) -> None:
        try:
            if isinstance(value, ArrayRef):
                self._array(name, value, role or "model")
                return
            pieces: tuple[Piece, ...] = ()
            layout = value.layout
            if layout == "sparse":
                for inner in value.inner:
                    pieces = (self._piece(inner),)  # the last are the values
            elif layout != "unstored" and value.storage is not None:
                if value.storage.device == "meta":
                    layout = "unstored"
                else:
                    pieces = (self._piece(value),)
                    if layout == "dense" and _strided(value):
                        layout = "view"
            if layout == "sparse" and role is None:
                role = "other"  # weights are dense; what is sparse beside them is a mask, a graph or a gradient
            self.content.add(
                Tensor(name, value.shape, pieces[0].dtype if pieces else value.dtype, role or "model", layout), pieces
            )
        except Damaged as error:
            self.content.damaged(f"tensor {name[:120]!r}: {error}")
            if isinstance(value, TensorRef):
                self.content.add(Tensor(name, value.shape, value.dtype or "unknown", role or "model", value.layout))

    def _piece(self, value: TensorRef) -> Piece:
        if value.storage is None:
            raise Damaged("no storage")
        store = self.resolve(value.storage)
        return placed(store, value.dtype or value.storage.dtype, value.offset, value.shape, value.stride)

    def _array(self, name: str, value: ArrayRef, role: Role) -> None:
        if value.dtype is None:
            return
        kind = _NUMPY.get(value.dtype.code)
        if kind is None:  # text, records, objects: no tensor
            return
        store = self.data(value.data)
        shape = tuple(reversed(value.shape)) if value.fortran else value.shape
        pieces: tuple[Piece, ...] = ()
        if store is not None:
            store.big = value.dtype.order == ">"
            pieces = (placed(store, kind, 0, shape, contiguous(shape)),)
        known = dtype(kind)
        assert known is not None
        self.content.add(Tensor(name, value.shape, kind, role), pieces)


def _inside(name: str, value: Call) -> Iterator[tuple[str, Any]]:
    """The named contents of an object: the parameters of a module by their own names, else state, items and arguments."""
    state = value.state
    if isinstance(state, dict) and isinstance(state.get("_parameters"), dict):
        skipped = state.get("_non_persistent_buffers_set")
        hidden = {k for k in skipped if isinstance(k, str)} if isinstance(skipped, list) else set()
        for part in ("_parameters", "_buffers", "_modules"):
            members = state.get(part)
            if isinstance(members, dict):
                yield from (
                    (_join(name, str(k)), v)
                    for k, v in members.items()
                    if v is not None and not (part == "_buffers" and k in hidden)
                )
        return
    local = state.get("_local_tensor") if isinstance(state, dict) else None
    if isinstance(local, TensorRef):
        yield name, local
        return
    if isinstance(state, tuple) and len(state) == 2 and all(isinstance(s, (dict, type(None))) for s in state):
        state = {**(state[0] or {}), **(state[1] or {})}
    states: tuple[Any, ...] = (state, value.pairs)
    for part in states:
        if isinstance(part, dict):
            yield from (
                (_join(name, str(k) if isinstance(k, (str, int)) else f"<{type(k).__name__}>"), v)
                for k, v in part.items()
            )
        elif part is not None:
            yield name, part
    several: Any
    for several in (value.items, value.args):
        if isinstance(several, (list, tuple)):
            yield from ((_join(name, str(i)), v) for i, v in enumerate(several) if not isinstance(v, Global))


def _strided(value: TensorRef) -> bool:
    """Whether the elements are not laid out row by row."""
    plain = contiguous(value.shape)
    return 0 not in value.shape and any(
        n > 1 and s != p for n, s, p in zip(value.shape, value.stride, plain, strict=True)
    )


def _root(value: Any) -> str:
    if isinstance(value, dict):
        return "dict" if value else "empty"
    if isinstance(value, (TensorRef, ArrayRef)):
        return "tensor"
    if isinstance(value, (list, tuple)):
        return "list" if value else "empty"
    return "object" if isinstance(value, (Call, Blob)) else "scalar"


def _join(name: str, key: str) -> str:
    key = key[:200]
    return f"{name}.{key}"[:_NAME] if name else key
