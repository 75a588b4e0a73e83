"""Where the scalars stand inside a TensorBoard event, found without decoding the rest.

An event is a protobuf message: 1 wall_time, 2 step, 5 summary (1 value: 1 tag, 2 simple_value, 8 tensor,
9 metadata), 7 session_log. Only positions are taken here, so that one parsed event serves for all with its layout.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from runvet.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, Malformed, fields, signed, text, varint

SESSION_START = 1
# TensorFlow's data types: the numpy type of `tensor_content`, or of the number behind a varint
_DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 5: "<i2", 6: "|i1", 9: "<i8", 10: "|b1", 14: "bfloat16", 17: "<u2",
    19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
_VARINTS = {7, 10, 11, 16, 17}  # int_val, int64_val, bool_val, uint32_val, uint64_val
_HALF = 13  # half_val: the bits of a half or bfloat16 in a varint


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar of an event. `dtype` and `at` say where its bytes are; `constant` holds it where they don't."""

    tag: slice
    at: int
    dtype: str = ""
    constant: float = math.nan
    tensor: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What an event holds and where. `wall_time` and `step` are positions, 0 where absent; `step` is a varint."""

    wall_time: int
    step: slice
    scalars: tuple[Scalar, ...]
    plugins: tuple[tuple[str, str], ...] = ()  # (tag, plugin) for values that carry metadata
    session: int = 0
    free: tuple[slice, ...] = ()  # contents of images, histograms and the like: no scalar can be inside


def parse(data: bytes) -> Layout:
    """The layout of one event. Raises Malformed where `data` is not one."""
    wall_time, step, session = 0, slice(0, 0), 0
    scalars: list[Scalar] = []
    plugins: list[tuple[str, str]] = []
    free: list[slice] = []
    for field in fields(data):
        if field.number == 1 and field.wire == FIXED64:
            wall_time = field.start
        elif field.number == 2 and field.wire == VARINT:
            step = slice(field.start, field.end)
        elif field.number == 5 and field.wire == BYTES:
            for value in fields(data, field.start, field.end):
                if value.number == 1 and value.wire == BYTES:
                    _value(data, value, scalars, plugins, free)
        elif field.number == 7 and field.wire == BYTES:
            session = next((f.value for f in fields(data, field.start, field.end) if f.number == 1), 0)
    return Layout(wall_time, step, tuple(scalars), tuple(plugins), session, tuple(free))


def _value(data: bytes, value: Field, scalars: list[Scalar], plugins: list[tuple[str, str]], free: list[slice]) -> None:
    """Add the scalar that one Summary.Value holds, if any, and the plugin that its metadata names."""
    tag: Field | None = None
    simple: Field | None = None
    tensor: Field | None = None
    plugin = ""
    for field in fields(data, value.start, value.end):
        if field.number == 1 and field.wire == BYTES:
            tag = field
        elif field.number == 2 and field.wire == FIXED32:
            simple = field
        elif field.number == 8 and field.wire == BYTES:
            tensor = field
        elif field.number == 9 and field.wire == BYTES:
            plugin = _plugin(data, field)
        elif field.wire == BYTES:  # image, histogram, audio, node name
            free.append(slice(field.start, field.end))
    if tag is None:
        return
    place = slice(tag.start, tag.end)
    if simple is not None:
        scalars.append(Scalar(place, simple.start, "<f4"))
        return
    if plugin:
        plugins.append((text(data, tag), plugin))
    found = _tensor(data, tensor, place) if tensor is not None and plugin in ("", "scalars") else None
    if found is not None:
        scalars.append(found)


def _plugin(data: bytes, metadata: Field) -> str:
    """SummaryMetadata.plugin_data.plugin_name."""
    for field in fields(data, metadata.start, metadata.end):
        if field.number == 1 and field.wire == BYTES:
            for part in fields(data, field.start, field.end):
                if part.number == 1 and part.wire == BYTES:
                    return text(data, part)
    return ""


def _tensor(data: bytes, tensor: Field, tag: slice) -> Scalar | None:
    """The number in a tensor of exactly one element, else None. A numeric scalar without content is 0, as in TensorFlow."""
    dtype, elements, content, numbers = "", 1, None, None
    for field in fields(data, tensor.start, tensor.end):
        if field.number == 1 and field.wire == VARINT:
            dtype = _DTYPES.get(field.value, "")
        elif field.number == 2 and field.wire == BYTES:
            elements = _elements(data, field)
        elif field.number == 4 and field.wire == BYTES and field.end > field.start:
            content = field
        elif field.number in (5, 6) or field.number in _VARINTS or field.number == _HALF:
            numbers = field
    if not dtype or elements != 1:
        return None
    if content is not None:
        return _content(data, content, dtype, tag)
    if numbers is None:
        return Scalar(tag, 0, constant=0.0, tensor=True)
    if numbers.number in (5, 6):
        form = "<f4" if numbers.number == 5 else "<f8"
        return Scalar(tag, numbers.start, form, tensor=True) if numbers.end - numbers.start == int(form[2]) else None
    bits = numbers.value
    if numbers.wire == BYTES:
        packed = list(_packed(data, numbers))
        if len(packed) != 1:
            return None
        bits = packed[0]
    number = float(signed(bits))
    if numbers.number == _HALF:
        number = float(
            np.float32(_bfloat16(bits)) if dtype == "bfloat16" else np.uint16(bits & 0xFFFF).view(np.float16)
        )
    return Scalar(tag, 0, constant=number, tensor=True)


def _content(data: bytes, content: Field, dtype: str, tag: slice) -> Scalar | None:
    size = content.end - content.start
    if dtype == "bfloat16":
        bits = int.from_bytes(data[content.start : content.end], "little")
        return Scalar(tag, 0, constant=_bfloat16(bits), tensor=True) if size == 2 else None
    return Scalar(tag, content.start, dtype, tensor=True) if size == np.dtype(dtype).itemsize else None


def _bfloat16(bits: int) -> float:
    return float(struct.unpack("<f", ((bits & 0xFFFF) << 16).to_bytes(4, "little"))[0])


def _packed(data: bytes, field: Field) -> list[int]:
    found: list[int] = []
    at = field.start
    while at < field.end and len(found) < 2:
        value, at = varint(data, at, field.end)
        found.append(value)
    return found


def _elements(data: bytes, shape: Field) -> int:
    """The number of elements of a TensorShapeProto: 1 for a scalar, 0 where the rank is unknown."""
    product = 1
    for dimension in fields(data, shape.start, shape.end):
        if dimension.number == 3 and dimension.value:
            return 0
        if dimension.number == 2 and dimension.wire == BYTES:
            sizes = [f.value for f in fields(data, dimension.start, dimension.end) if f.number == 1]
            product *= sizes[0] if sizes else 0
    return product


__all__ = ["SESSION_START", "Layout", "Malformed", "Scalar", "parse"]
