"""torch.save files since 1.6: a zip with one pickle and one member per storage."""

from __future__ import annotations

from typing import Any

from runvet.checkpoints.content import Content, Store
from runvet.checkpoints.dtypes import STORAGES, dtype
from runvet.checkpoints.inert import Blob, Storage
from runvet.checkpoints.model import Role
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.unpickle import Interpreter
from runvet.checkpoints.walk import Walk
from runvet.checkpoints.window import Window
from runvet.checkpoints.zipdir import STORED, Zip

PICKLE_LIMIT = 64 << 20  # of a packed data.pkl; torch itself never packs


def top_folder(archive: Zip) -> str | None:
    """The folder of the one data.pkl of a torch file, or None where the zip is none."""
    return next(
        (
            n[: -len("data.pkl")]
            for n in archive.members
            if n == "data.pkl" or (n.endswith("/data.pkl") and n.count("/") == 1)
        ),
        None,
    )


def read_torch_zip(archive: Zip, content: Content, role: Role | None) -> None:
    """List a torch zip file into `content`. Raises Damaged or Unread where nothing can be listed."""
    top = top_folder(archive)
    if top is None:
        raise Damaged("a zip file without data.pkl")
    for warning in archive.warnings:
        content.damaged(warning)
    pickle = archive.open(archive.members[f"{top}data.pkl"], PICKLE_LIMIT)
    big = _big_endian(archive, top)
    stores: dict[str, Store] = {}

    def resolve(storage: Storage) -> Store:
        store = stores.get(storage.key)
        if store is None:
            store = stores[storage.key] = _store(archive, f"{top}data/{storage.key}", big)
        known = dtype(storage.dtype)
        if known and storage.count * known.size != store.size:
            raise Damaged(f"its storage holds {store.size:,} bytes, {storage.count * known.size:,} are promised")
        return store

    interpreter = Interpreter(pickle, persistent_storage)
    loaded = interpreter.load()
    content.names.update(loaded.names)
    Walk(content, resolve, lambda data: inline_store(pickle, data)).run(loaded.value, role)
    orphans = [m for n, m in archive.members.items() if n.startswith(f"{top}data/") and m.size]
    if orphans and not content.found:
        size = sum(m.size for m in orphans)
        content.damaged(
            f"its directory lists {len(orphans)} storages of {size:,} bytes that its data.pkl knows nothing of:"
            " another save wrote over its head"
        )


def persistent_storage(value: Any) -> Storage:
    """('storage', torch.FloatStorage, key, device, elements). Raises Damaged for anything else."""
    if not isinstance(value, tuple) or len(value) < 5 or value[0] != "storage":
        raise Damaged("a persistent id that is no storage")
    kind, key, device, count = value[1:5]
    name = getattr(kind, "name", "").rsplit(".", 1)[-1]
    if name not in STORAGES or not isinstance(count, int) or not 0 <= count < 1 << 62:
        raise Damaged(f"a storage of unknown kind {name[:40]!r} or absurd size")
    return Storage(str(key)[:200], STORAGES[name], count, str(device)[:40])


def inline_store(pickle: Window, data: Any) -> Store | None:
    """The bytes of an array within the pickle itself; None where they are coded as a long text."""
    if isinstance(data, Blob):
        if data.text:
            return None
        part = pickle.part(data.offset, data.length)
        return Store(("inline", part.start), data.length, lambda: part)
    if isinstance(data, str):
        data = data.encode("latin-1", "replace")
    if isinstance(data, bytes):
        return Store(("inline", id(data)), len(data), lambda: Window.memory(data))
    return None


def _store(archive: Zip, name: str, big: bool) -> Store:
    member = archive.members.get(name)
    if member is None:
        raise Damaged(f"its storage {name[-80:]!r} is missing from the file")
    if member.method != STORED:
        raise Damaged("its storage is packed, which torch never writes")
    return Store((member.offset, member.size), member.size, lambda: archive.stored(member), big, member.crc)


def _big_endian(archive: Zip, top: str) -> bool:
    member = archive.members.get(f"{top}byteorder")
    return member is not None and member.size <= 16 and archive.open(member, 16).head(16) == b"big"
