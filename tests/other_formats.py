"""Small files of formats whose own writers are no dependency here, written by hand from their descriptions."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def flax_file(value: Any) -> bytes:
    """msgpack as `flax.serialization` writes it: arrays are extension 1 of (shape, type, bytes)."""
    if isinstance(value, dict):
        body = b"".join(flax_file(k) + flax_file(v) for k, v in value.items())
        return b"\xdf" + struct.pack(">I", len(value)) + body
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, bool) or value is None:
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    raw = value.tobytes()
    shape = b"\x90" if not value.shape else bytes([0x90 + value.ndim]) + b"".join(flax_file(n) for n in value.shape)
    inner = b"\x93" + shape + flax_file(value.dtype.name) + b"\xc6" + struct.pack(">I", len(raw)) + raw
    return b"\xc9" + struct.pack(">I", len(inner)) + b"\x01" + inner


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_file(
    values: Mapping[str, str | int], tensors: Mapping[str, np.ndarray | tuple[int, tuple[int, ...], bytes]]
) -> bytes:
    """GGUF 3: arrays in float32, or (type, shape, bytes) for blocks of another type."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values) + 1)
    head += _text("tokens") + struct.pack("<IIQ", 9, 8, 2) + _text("a") + _text("bc")
    for key, value in values.items():
        head += _text(key) + (
            struct.pack("<I", 8) + _text(value) if isinstance(value, str) else struct.pack("<II", 4, value)
        )
    data = b""
    for name, tensor in tensors.items():
        kind, shape, raw = tensor if isinstance(tensor, tuple) else (0, tensor.shape, tensor.astype("<f4").tobytes())
        head += _text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in reversed(shape))
        head += struct.pack("<IQ", kind, len(data))
        data += raw + bytes(-len(raw) % 32)
    return head + bytes(-len(head) % 32) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Entries of a table whose keys share their beginnings, one restart, no packing."""
    out, before = b"", b""
    for key, value in entries:
        same = next(
            (i for i, (a, b) in enumerate(zip(before, key, strict=False)) if a != b), min(len(before), len(key))
        )
        out += _varint(same) + _varint(len(key) - same) + _varint(len(value)) + key[same:] + value
        before = key
    return out + struct.pack("<II", 0, 1)


def tensorflow_files(prefix: Path, arrays: Mapping[str, np.ndarray], *, shards: int = 1) -> None:
    """PREFIX.index and PREFIX.data-…: a table of leveldb with one block of records; arrays go round the data files."""
    kinds = {"float32": 1, "int64": 9, "float16": 19}
    data = [b""] * shards
    entries = [(b"", b"\x08" + _varint(shards))]
    for i, (name, array) in enumerate(sorted(arrays.items())):
        shard, raw = i % shards, array.tobytes()
        dims = b"".join(b"\x12" + _varint(len(d)) + d for d in (b"\x08" + _varint(n) for n in array.shape))
        entry = (
            b"\x08" + _varint(kinds[array.dtype.name]) + b"\x12" + _varint(len(dims)) + dims + b"\x18" + _varint(shard)
        )
        entry += b"\x20" + _varint(len(data[shard])) + b"\x28" + _varint(len(raw)) + b"\x35" + bytes(4)
        entries.append((name.encode(), entry))
        data[shard] += raw
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(data):
        Path(f"{prefix}.data-{i:05d}-of-{shards:05d}").write_bytes(part)
    records, empty = _block(entries), _block([])
    index = _block([(entries[-1][0], _varint(0) + _varint(len(records)))])
    body = records + bytes(5)
    places = []
    for block in (empty, index):
        places.append(_varint(len(body)) + _varint(len(block)))
        body += block + bytes(5)
    footer = b"".join(places)
    Path(f"{prefix}.index").write_bytes(body + footer + bytes(40 - len(footer)) + bytes.fromhex("57fb808b247547db"))


def orbax_folder(folder: Path, arrays: Mapping[str, np.ndarray], *, ocdbt: bool = True, **numbers: int) -> None:
    """An Orbax folder: arrays through tensorstore's database (or plain zarr), the tree as JSON."""
    import tensorstore

    folder.mkdir(parents=True)
    tree = {}
    for name, value in {**arrays, **{k: np.asarray(v, np.int64) for k, v in numbers.items()}}.items():
        keys = [{"key": k, "key_type": 2} for k in name.split(".")]
        about = (
            {"value_type": "scalar"}
            if name in numbers
            else {"value_type": "jax.Array", "write_shape": list(value.shape)}
        )
        tree[str(tuple(name.split(".")))] = {"key_metadata": keys, "value_metadata": about}
        base = {"driver": "file", "path": f"{folder}/"}
        store = (
            {"driver": "ocdbt", "base": base, "path": f"{name}/"}
            if ocdbt
            else {"driver": "file", "path": f"{folder}/{name}/"}
        )
        chunks = [max(1, -(-n // 2)) for n in value.shape]
        spec = {"driver": "zarr", "kvstore": store, "metadata": {"chunks": chunks, "compressor": {"id": "zstd"}}}
        opened = tensorstore.open(spec, create=True, dtype=value.dtype.name, shape=value.shape).result()
        opened.write(value).result()
    (folder / "_METADATA").write_text(json.dumps({"tree_metadata": tree, "use_ocdbt": ocdbt, "use_zarr3": False}))
    (folder / "_CHECKPOINT_METADATA").write_text(json.dumps({"commit_timestamp_nsecs": 1}))
