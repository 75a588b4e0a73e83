"""Orbax folders: names, shapes and completeness from their JSON files; values need tensorstore, which is not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from runvet.checkpoints.content import Content
from runvet.checkpoints.model import Tensor
from runvet.checkpoints.names import role_of_key
from runvet.checkpoints.problems import Problem

JSON_LIMIT = 32 << 20
MARKS = ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "_sharding")


def read_orbax(folder: Path, content: Content) -> None:
    """List an Orbax folder as far as its JSON goes, and say that values were not read."""
    content.kind = "orbax"
    if ".orbax-checkpoint-tmp" in folder.name:
        content.damaged("the save did not end: the folder still has its temporary name")
    for place in sorted({*folder.glob("_METADATA"), *folder.glob("*/_METADATA")}):
        _tree(place, content)
    content.problems.append(
        Problem(
            "unread-checkpoint",
            "Orbax keeps values in a database that only tensorstore reads: convert with orbax to safetensors or npz to have them checked",
        )
    )


def _tree(place: Path, content: Content) -> None:
    tree = _json(place).get("tree_metadata")
    inside = "" if place.parent == place.parents[1] else place.parent.name
    for entry in tree.values() if isinstance(tree, dict) else ():
        keys = entry.get("key_metadata") if isinstance(entry, dict) else None
        path = [str(k.get("key"))[:80] for k in keys if isinstance(k, dict)] if isinstance(keys, list) else []
        about = entry.get("value_metadata") if isinstance(entry, dict) else None
        if not path or not isinstance(about, dict) or about.get("value_type") in ("scalar", "None", "string", None):
            continue
        array = _json(place.parent / ".".join(path) / ".zarray")
        shape = array.get("shape") or about.get("write_shape") or []
        sizes = tuple(n for n in shape if isinstance(n, int) and 0 <= n < 1 << 62) if isinstance(shape, list) else ()
        role = next((r for p in path[:2] if (r := role_of_key(p))), None) or role_of_key(inside) or "model"
        kind = array.get("dtype")
        content.add(Tensor(".".join(path), sizes, _label(kind), role, "unstored"))


def _label(kind: Any) -> str:
    text = kind.lstrip("<>|=") if isinstance(kind, str) else ""
    return {
        "f4": "float32",
        "f8": "float64",
        "f2": "float16",
        "i4": "int32",
        "i8": "int64",
        "u4": "uint32",
        "b1": "bool",
    }.get(text, text or "unknown")


def _json(place: Path) -> dict[str, Any]:
    try:
        if place.stat().st_size > JSON_LIMIT:
            return {}
        value = orjson.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
