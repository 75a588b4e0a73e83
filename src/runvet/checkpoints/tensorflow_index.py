"""TensorFlow checkpoints: PREFIX.index, a sorted table of records, and PREFIX.data-00000-of-0000N with the values.

Formats: leveldb's table (google/leveldb, doc/table_format.md) with the messages of tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from runvet.checkpoints.content import Content, Piece, Store, contiguous
from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key, role_of_tensor
from runvet.checkpoints.problems import Damaged, Problem, Unread
from runvet.checkpoints.window import Window
from runvet.protobuf import BYTES, VARINT, Malformed, fields, varint

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
LIMIT = 256 << 20  # bytes of an index
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_TYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 8: "complex64", 9: "int64", 10: "bool", 14: "bfloat16",
          17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64", 24: "float8_e5m2", 25: "float8_e4m3fn"}  # fmt: skip
_SLOTS = re.compile(
    r"\.OPTIMIZER_SLOT|/(?:Adam\w*|Momentum|RMSProp\w*|Adagrad\w*|Adadelta\w*|Ftrl\w*|[mv])$|^beta[12]_power"
)
_AVERAGE = re.compile(r"/ExponentialMovingAverage$")


@dataclass(slots=True)
class _Entry:
    """One record of the table: where a tensor's values are."""

    kind: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    sliced: bool = False


def read_index(index: Window, sizes: Mapping[int, int], opened: Callable[[int], Window], content: Content) -> None:
    """List a checkpoint by its index. `sizes` are the data files in bytes by number, `opened` gives one of them.

    Raises Damaged where the index cannot be believed.
    """
    content.kind = "tensorflow"
    big, shards = False, 1
    for key, value in _records(index):
        if not key:
            shards, big = _header(value)
            _missing(shards, sizes, content)
            continue
        if key.startswith(b"\0"):
            continue  # a slice of a partitioned variable: it is counted as a whole
        name = key.decode("utf-8", "replace")
        entry = _entry(value)
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and not name.startswith("_"):
            _tensor(name, entry, sizes, opened, content, big=big)
    content.root = "dict" if content.found else "empty"


def _missing(shards: int, sizes: Mapping[int, int], content: Content) -> None:
    lost = [i for i in range(min(shards, 100_000)) if i not in sizes]
    if lost:
        names = ", ".join(f".data-{i:05d}-of-{shards:05d}" for i in lost[:4])
        content.problems.append(Problem("missing-shards", f"{len(lost)} of {shards} data files are missing: {names}"))


def _tensor(
    name: str, entry: _Entry, sizes: Mapping[int, int], opened: Callable[[int], Window], content: Content, *, big: bool
) -> None:
    plain = name.removesuffix(_VALUE).replace("/", ".")
    label = _TYPES.get(entry.kind)
    if label is None:
        return  # texts: vocabularies and notes, no weights
    known = dtype(label)
    assert known is not None
    role = _role(name, plain)
    if entry.sliced:
        content.add(Tensor(plain, entry.shape, label, role))
        return
    need = math.prod(entry.shape) * known.size
    if need != entry.size:
        raise Damaged(f"{plain[:80]!r} needs {need:,} bytes, its record gives {entry.size:,}")
    if entry.shard not in sizes:
        content.add(Tensor(plain, entry.shape, label, role))
        return
    if entry.offset + entry.size > sizes[entry.shard]:
        content.damaged(
            f"the data file {entry.shard} is cut off: {sizes[entry.shard]:,} bytes, {entry.offset + entry.size:,} are promised"
        )
        return
    store = Store((entry.shard, entry.offset), need, lambda: opened(entry.shard).part(entry.offset, entry.size), big)
    if not entry.shape and known.raw.kind in "iu":
        raw = store.open().read(0, known.size)
        kind = known.raw.newbyteorder(">") if big else known.raw
        content.note(plain, int(np.frombuffer(raw, kind)[0]), top="." not in plain)
        if "." not in plain or plain.endswith(("iterations", "iteration")):
            return
    content.add(
        Tensor(plain, entry.shape, label, role), (Piece(store, label, 0, entry.shape, contiguous(entry.shape)),)
    )


def _role(name: str, plain: str) -> Role:
    if _AVERAGE.search(name):
        return "ema"
    first = plain.partition(".")[0]
    if "._trainable_variables." in plain:
        return "model"  # Keras 3 keeps the weights below the optimizer that trains them
    if _SLOTS.search(name):
        return "optimizer"
    return (role_of_key(first) if "." in plain else None) or role_of_tensor(plain) or "model"


def _header(value: bytes) -> tuple[int, bool]:
    """Number of data files, and whether numbers are big-endian."""
    shards, big = 1, False
    try:
        for field in fields(value):
            if field.number == 1 and field.wire == VARINT:
                shards = field.value
            elif field.number == 2 and field.wire == VARINT:
                big = field.value == 1
    except Malformed as error:
        raise Damaged(f"the header of the index: {error}") from None
    return shards, big


def _entry(value: bytes) -> _Entry:
    entry = _Entry()
    try:
        for field in fields(value):
            if field.wire == VARINT and field.number in (1, 3, 4, 5):
                setattr(entry, {1: "kind", 3: "shard", 4: "offset", 5: "size"}[field.number], field.value)
            elif field.wire == BYTES and field.number == 2:
                entry.shape = tuple(_sizes(value, field.start, field.end))
            elif field.wire == BYTES and field.number == 7:
                entry.sliced = True
    except Malformed as error:
        raise Damaged(f"a record of the index: {error}") from None
    if any(n >= 1 << 48 for n in entry.shape) or len(entry.shape) > 64:
        raise Damaged("a record of the index with an absurd shape")
    return entry


def _sizes(value: bytes, start: int, end: int) -> Iterator[int]:
    """The sizes of a TensorShapeProto; a size of 0 is not written at all."""
    for dim in fields(value, start, end):
        if dim.number == 2 and dim.wire == BYTES:
            yield next((f.value for f in fields(value, dim.start, dim.end) if f.number == 1 and f.wire == VARINT), 0)


def _records(index: Window) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the table, in order. Raises Damaged, Unread."""
    if index.size < FOOTER:
        raise Damaged(f"cut off: an index of {index.size} bytes")
    if index.size > LIMIT:
        raise Unread(f"an index of {index.size:,} bytes")
    footer = index.read(index.size - FOOTER, FOOTER)
    if footer[-8:] != MAGIC:
        raise Damaged("cut off: the mark at the end of the index is missing")
    try:
        _, at = _handle(footer, 0)
        blocks, _ = _handle(footer, at)
        for _, value in _block(index, *blocks):
            place, _ = _handle(value, 0)
            yield from _block(index, *place)
    except Malformed as error:
        raise Damaged(f"the index: {error}") from None


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and length of a block, and the position after them."""
    offset, at = varint(data, at, len(data))
    length, at = varint(data, at, len(data))
    return (offset, length), at


def _block(index: Window, offset: int, length: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of one block; each key shares a beginning with the one before."""
    data = index.read(offset, length + 5)
    if data[length] == 1:
        raise Unread("an index packed with snappy is not read")
    if data[length] or length < 4:
        raise Damaged(f"a block of the index of unknown kind {data[length]}")
    end = length - 4 - 4 * int.from_bytes(data[length - 4 : length], "little")
    at, key = 0, b""
    while at < end:
        shared, at = varint(data, at, end)
        own, at = varint(data, at, end)
        size, at = varint(data, at, end)
        if shared > len(key) or at + own + size > end:
            raise Damaged("a block of the index is inconsistent")
        key = key[:shared] + data[at : at + own]
        yield key, data[at + own : at + own + size]
        at += own + size
