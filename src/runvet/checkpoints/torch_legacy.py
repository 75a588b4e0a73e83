"""torch.save files before 1.6 (still written on request), and plain pickles: read in the same inert way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runvet.checkpoints.content import Content, Store
from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.inert import Storage
from runvet.checkpoints.model import Role
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.torch_zip import inline_store, persistent_storage
from runvet.checkpoints.unpickle import Interpreter
from runvet.checkpoints.walk import Walk
from runvet.checkpoints.window import Window

MAGIC = 0x1950A86A20F9469CFC6C
MAGIC_BYTES = b"\x8a\x0a" + MAGIC.to_bytes(10, "little")
KEYS = 300_000


def is_legacy(head: bytes) -> bool:
    """Whether a file starts with the first of the five pickles of the old torch layout."""
    return head[:1] == b"\x80" and head[2:14] == MAGIC_BYTES


def read_legacy(window: Window, content: Content, role: Role | None) -> None:
    """Five pickles (magic, protocol, system, the object, storage keys), then each storage after its element count."""
    value, names, stores = _parts(window)
    content.names.update(names)

    def resolve(storage: Storage) -> Store:
        store = stores.get(storage.key)
        if store is None:
            raise Damaged(f"its storage {storage.key[:80]!r} is missing from the file")
        return store

    Walk(content, resolve, lambda data: inline_store(window, data)).run(value, role)


def read_pickle(window: Window, content: Content, role: Role | None) -> None:
    """A pickle of anything: arrays, tensors whose storages are small torch files within it, or code."""
    interpreter = Interpreter(window, lambda value: value)
    loaded = interpreter.load()
    content.names.update(loaded.names)

    def resolve(storage: Storage) -> Store:
        store = inline_store(window, storage.nested)
        if store is None:
            raise Damaged("its storage is not in the file")
        inner = store.open()
        value, names, stores = _parts(inner)
        content.names.update(names)
        if not isinstance(value, Storage) or value.key not in stores:
            raise Damaged("its storage is not one")
        storage.dtype = value.dtype
        return replace(stores[value.key], key=("nested", id(storage)))

    Walk(content, resolve, lambda data: inline_store(window, data)).run(loaded.value, role)


def _parts(window: Window) -> tuple[Any, dict[str, bool], dict[str, Store]]:
    """The object of a legacy file, the names it would import, and its storages by key. Raises Damaged, Unread."""
    declared: dict[str, Storage] = {}

    def persistent(value: Any) -> Storage:
        storage = persistent_storage(value)
        return declared.setdefault(storage.key, storage)

    interpreter, at, values = Interpreter(window, persistent), 0, []
    for _ in range(5):
        loaded = interpreter.load(at)
        values.append(loaded.value)
        at = loaded.end
    if values[0] != MAGIC:
        raise Damaged("not the old torch layout: its magic number is missing")
    system, root, keys = values[2:]
    if not isinstance(keys, list) or len(keys) > KEYS:
        raise Damaged("the list of storages is missing")
    big = isinstance(system, dict) and system.get("little_endian") is False
    return root, interpreter.names, _storages(window, at, keys, declared, big)


def _storages(window: Window, at: int, keys: list[Any], declared: dict[str, Storage], big: bool) -> dict[str, Store]:
    stores = {}
    for key in keys:
        storage = declared.get(str(key)[:200])
        known = dtype(storage.dtype) if storage else None
        if storage is None or known is None:
            raise Damaged(f"a storage {str(key)[:60]!r} that no tensor uses")
        count = int.from_bytes(window.read(at, 8), "big" if big else "little")
        if count != storage.count:
            raise Damaged(f"storage {storage.key[:60]!r} holds {count:,} elements, {storage.count:,} are promised")
        part = window.part(at + 8, count * known.size)
        stores[storage.key] = Store((part.start, part.size), part.size, lambda part=part: part, big)  # type: ignore[misc]
        at += 8 + part.size
    return stores
