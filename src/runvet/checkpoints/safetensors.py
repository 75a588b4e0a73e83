"""safetensors: a JSON header, then the values. Everything is checked against the file's size before it is believed."""

from __future__ import annotations

import math
from typing import Any

import orjson

from runvet.checkpoints.content import Content, Piece, Store, contiguous
from runvet.checkpoints.dtypes import SAFETENSORS, SUB_BYTE_BITS, bits
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_tensor, words
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window

HEADER_LIMIT = 32 << 20  # bytes: 200,000 tensors


def read_safetensors(window: Window, content: Content, role: Role | None) -> None:
    """List a safetensors file into `content`. Raises Damaged where the header cannot be believed."""
    header, start = _header(window)
    metadata = header.pop("__metadata__", None)
    for key, value in (metadata if isinstance(metadata, dict) else {}).items():
        content.note(f"__metadata__.{key}"[:200], value if isinstance(value, str) else None)
    data = window.part(start, window.size - start)
    ranges: list[tuple[int, int]] = []
    for name, entry in header.items():
        ranges.append(_tensor(name[:400], entry, data, content, role))
    content.root = "dict" if header else "empty"
    end = 0
    for begin, stop in sorted(ranges):
        if begin != end:
            raise Damaged(
                f"tensors {'share' if begin < end else 'leave a gap of'} bytes at offset {min(begin, end):,} of the data"
            )
        end = stop
    if end != data.size:
        raise Damaged(f"the header promises {end:,} bytes of values, the file has {data.size:,}")


def _header(window: Window) -> tuple[dict[str, Any], int]:
    if window.size < 8:
        raise Damaged(f"cut off: {window.size} bytes, no header")
    length = int.from_bytes(window.read(0, 8), "little")
    if length > window.size - 8:
        raise Damaged(f"cut off: a header of {length:,} bytes is promised, {window.size - 8:,} follow")
    if length > HEADER_LIMIT:
        raise Damaged(f"a header of {length:,} bytes is longer than any model needs")
    text = window.read(8, length)
    if text.count(b"{") * 40 > length + 400 or text.count(b"[") * 16 > length + 400:
        raise Damaged("the header is no list of tensors")
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Damaged(f"the header is no JSON: {str(error)[:120]}") from None
    if not isinstance(header, dict):
        raise Damaged("the header is no JSON object")
    return header, 8 + length


def _tensor(name: str, entry: Any, data: Window, content: Content, role: Role | None) -> tuple[int, int]:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise Damaged(f"the header's entry of {name[:80]!r} is incomplete") from None
    known = SAFETENSORS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise Damaged(f"{name[:80]!r} has an element type that is not known: {str(kind)[:40]!r}")
    numbers = [*shape, begin, end] if isinstance(shape, list) and len(shape) <= 64 else [-1]
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 62 for n in numbers):
        raise Damaged(f"{name[:80]!r} has a negative or absurd shape or offset")
    width = bits(known)
    assert width is not None
    need = -(-math.prod(shape) * width // 8)
    if begin > end or end - begin != need:
        raise Damaged(f"{name[:80]!r} needs {need:,} bytes, its offsets give {end - begin:,}")
    if end > data.size:
        raise Damaged(f"cut off: {name[:80]!r} ends at byte {end:,} of the data, the file has {data.size:,}")
    store = Store((begin, end), need, lambda: data.part(begin, end - begin))
    sizes: tuple[int, ...] = tuple(shape)
    raw = (need,) if known in SUB_BYTE_BITS else sizes
    content.add(Tensor(name, sizes, known, _role(name, role)), (Piece(store, known, 0, raw, contiguous(raw)),))
    return begin, end


def _role(name: str, role: Role | None) -> Role:
    """Names are flat here: only a first component that says so is an optimizer's or an average's."""
    if role is not None:
        return role
    first = name.partition(".")[0]
    return role_of_tensor(name) or ("optimizer" if words(first) & {"optimizer", "optim"} else "model")
