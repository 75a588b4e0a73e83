"""Orbax folders: names, shapes and completeness from their JSON files; values through tensorstore where it is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from runvet.checkpoints.content import Content
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key, words
from runvet.checkpoints.places import Place
from runvet.checkpoints.problems import Problem

JSON_LIMIT = 32 << 20
MARKS = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "_sharding")
_NOTHING = {
    "None",
    "string",
    "Dict",
    "List",
    "Tuple",
    "NamedTuple",
    "EmptyNamedTuple",
}  # leaves without an array of their own
_OPTIMIZER = {"opt_state", "opt_states", "optimizer_state"}
_TYPES = {"f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8",
          "u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool", "c8": "complex64", "c16": "complex128"}  # fmt: skip


def read_orbax(folder: Place, sizes: Mapping[str, int], content: Content) -> bool:
    """List an Orbax folder; `sizes` are its files in bytes by their relative names. Whether values can be scanned."""
    content.kind = "orbax"
    _complete(folder, sizes, content)
    items = sorted(n.removesuffix("_METADATA") for n in sizes if n == "_METADATA" or n.endswith("/_METADATA"))
    trees = {item: _arrays(folder, item, sizes) for item in items if item.count("/") < 3}
    several = sum(bool(t) for t in trees.values()) > 1
    values = True
    for item, arrays in trees.items():
        prefix = item.replace("/", ".") if several else ""
        inside = role_of_key(item.rstrip("/")) if item else None
        values = _item(folder, item, arrays, prefix, inside, sizes, content) and values
    _plain(folder, sizes, content)
    content.root = "dict" if content.found or any(trees.values()) else "empty"
    if content.found and not values:
        content.problems.append(
            Problem(
                "unread-checkpoint",
                "values of Orbax folders need an extra and a local copy: pip install 'runvet[orbax]'",
            )
        )
    return values


def _complete(folder: Place, sizes: Mapping[str, int], content: Content) -> None:
    """What a save that died leaves behind: a temporary name, no time of its end, no database."""
    if ".orbax-checkpoint-tmp" in folder.name:
        content.damaged("the save did not end: the folder still has its temporary name")
    about = _json(folder, "_CHECKPOINT_METADATA", sizes)
    if "commit_timestamp_nsecs" in about and about["commit_timestamp_nsecs"] is None:
        content.damaged("the save did not end: _CHECKPOINT_METADATA has no time of the commit")
    for name in sizes:
        if name.rpartition("/")[2] == "_METADATA" and _json(folder, name, sizes).get("use_ocdbt") is not False:
            item = name.removesuffix("_METADATA")
            parts = any(n.startswith(f"{item}ocdbt.process_") for n in sizes)
            if parts and f"{item}manifest.ocdbt" not in sizes:
                content.damaged(f"{item}manifest.ocdbt is missing: the parts of the processes were never merged")


_Array = tuple[str, tuple[int, ...], str, str]  # name, shape, type, what the value was


def _arrays(folder: Place, item: str, sizes: Mapping[str, int]) -> list[_Array]:
    """The leaves of an item that are arrays or numbers, in the order of the tree."""
    tree = _json(folder, f"{item}_METADATA", sizes).get("tree_metadata")
    shapes = _written(folder, item, sizes)
    out = []
    for entry in tree.values() if isinstance(tree, dict) else ():
        keys = entry.get("key_metadata") if isinstance(entry, dict) else None
        path = [str(k.get("key"))[:80] for k in keys if isinstance(k, dict)] if isinstance(keys, list) else []
        about = entry.get("value_metadata") if isinstance(entry, dict) else None
        if not path or not isinstance(about, dict) or str(about.get("value_type")) in _NOTHING:
            continue
        name = ".".join(path)
        array = _json(folder, f"{item}{name}/.zarray", sizes)
        shape = array.get("shape") or shapes.get(name) or about.get("write_shape") or []
        out.append((name, _sizes(shape), _label(array.get("dtype")), str(about.get("value_type"))))
    return out


def _item(
    folder: Place,
    item: str,
    arrays: list[_Array],
    prefix: str,
    inside: Role | None,
    sizes: Mapping[str, int],
    content: Content,
) -> bool:
    from runvet.checkpoints.orbax_values import opened

    ocdbt = f"{item}manifest.ocdbt" in sizes
    if not ocdbt and any(_json(folder, f"{item}{n}/.zarray", sizes) for n, *_ in arrays):
        _chunks(folder, item, arrays, sizes, content)
    zarr3 = bool(_json(folder, f"{item}_METADATA", sizes).get("use_zarr3"))
    stores, lost = opened(folder, item, [a[0] for a in arrays], ocdbt=ocdbt, zarr3=zarr3)
    for why in lost:
        content.damaged(why)
    for name, shape, label, kind in arrays:
        role = inside or _role(name)
        found = stores.get(name) if stores is not None else None
        if found is not None and found.value is not None and (kind == "scalar" or role == "model"):
            content.note(f"{prefix}{name}", found.value, top="." not in name)
            if kind == "scalar" or name in ("step", "epoch"):
                continue
        elif kind == "scalar":
            continue
        if found is None:
            content.add(Tensor(f"{prefix}{name}", shape, label, role, "dense" if stores is not None else "unstored"))
        else:
            content.add(Tensor(f"{prefix}{name}", found.shape, found.dtype, role), found.pieces)
    return stores is not None


def _role(name: str) -> Role:
    parts = name.split(".")
    if _OPTIMIZER & set(parts[:2]):
        return "optimizer"
    return next((r for p in parts[:2] if (r := role_of_key(p))), None) or "model"


def _written(folder: Place, item: str, sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """Shapes of whole arrays as each process noted them."""
    out = {}
    for name in sizes:
        if name.startswith(f"{item}array_metadatas/"):
            entries = _json(folder, name, sizes).get("array_metadatas")
            for entry in entries if isinstance(entries, list) else ():
                about = entry.get("array_metadata") if isinstance(entry, dict) else None
                if isinstance(about, dict) and isinstance(about.get("write_shape"), list):
                    out[str(about.get("param_name"))] = about["write_shape"]
    return out


def _chunks(folder: Place, item: str, arrays: list[_Array], sizes: Mapping[str, int], content: Content) -> None:
    """Files of blocks that the arrays should have and that are not there."""
    there: dict[str, int] = {}
    for name in sizes:
        parent, _, file = name.rpartition("/")
        if parent.startswith(item) and not file.startswith("."):
            there[parent[len(item) :]] = there.get(parent[len(item) :], 0) + 1
    total = lost = 0
    for name, shape, _, _ in arrays:
        about = _json(folder, f"{item}{name}/.zarray", sizes)
        blocks = _sizes(about.get("chunks") or [])
        if len(blocks) == len(shape) and all(blocks):
            expected = math.prod(-(-n // b) for n, b in zip(shape, blocks, strict=True))
            total, lost = total + expected, lost + max(0, expected - there.get(name, 0))
        elif not about:
            total, lost = total + 1, lost + 1
    if lost:
        content.problems.append(Problem("missing-shards", f"{lost} of {total} blocks of its arrays are missing"))


def _plain(folder: Place, sizes: Mapping[str, int], content: Content) -> None:
    """Numbers that were saved as JSON beside the arrays."""
    for name in sizes:
        if name.rpartition("/")[2] == "metadata" and name.count("/") == 1:
            for key, value in _json(folder, name, sizes).items():
                if isinstance(value, (str, int, float, bool)) and words(key):
                    content.note(str(key)[:200], value, top=True)


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(n for n in shape if isinstance(n, int) and 0 <= n < 1 << 62) if isinstance(shape, list) else ()


def _label(kind: Any) -> str:
    text = kind.lstrip("<>|=") if isinstance(kind, str) else ""
    return _TYPES.get(text, text or "unknown")


def _json(folder: Place, name: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    if not 0 < sizes.get(name, 0) <= JSON_LIMIT:
        return {}
    try:
        value = orjson.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
