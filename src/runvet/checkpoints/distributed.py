"""torch.distributed.checkpoint folders: `.metadata` (a pickle of plain records) and files that hold the blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runvet.checkpoints.content import Content, Piece, Store, contiguous
from runvet.checkpoints.inert import Call, Global
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key, role_of_tensor
from runvet.checkpoints.problems import Damaged, Problem, Unread
from runvet.checkpoints.symbols import torch_dtype
from runvet.checkpoints.torch_legacy import read_pickle
from runvet.checkpoints.torch_zip import read_torch_zip
from runvet.checkpoints.unpickle import Interpreter
from runvet.checkpoints.window import Window
from runvet.checkpoints.zipdir import Zip

SMALL = 1 << 20  # bytes of a plain value that is still read
VALUES = 200  # plain values that are read


def read_distributed(
    metadata: Window, sizes: Mapping[str, int], opened: Callable[[str], Window], content: Content
) -> None:
    """List a folder by its `.metadata`. `sizes` are the files beside it in bytes, `opened` gives one of them.

    Raises Damaged where the metadata cannot be read.
    """
    loaded = Interpreter(metadata, lambda value: value).load()
    content.names.update(loaded.names)
    root = loaded.value.state if isinstance(loaded.value, Call) else None
    if not isinstance(root, dict) or not isinstance(root.get("state_dict_metadata"), dict):
        raise Damaged(".metadata lists no tensors")
    blocks = _blocks(root.get("storage_data"))
    _check(blocks, sizes, content)
    read = 0
    for name, entry in root["state_dict_metadata"].items():
        state = entry.state if isinstance(entry, Call) else None
        name = str(name)[:400]
        if isinstance(state, dict) and "size" in state:
            _tensor(name, state, blocks.get(name, {}), sizes, opened, content)
        elif read < VALUES:
            read += 1
            _value(name, blocks.get(name, {}), sizes, opened, content)
    content.root = "dict" if root["state_dict_metadata"] else "empty"


_Block = tuple[str, int, int]  # file, offset, length in bytes


def _blocks(storage: Any) -> dict[str, dict[tuple[int, ...], _Block]]:
    """Where each block of each name is, by the block's offsets."""
    found: dict[str, dict[tuple[int, ...], _Block]] = {}
    for index, info in storage.items() if isinstance(storage, dict) else ():
        where, place = (v.state if isinstance(v, Call) else None for v in (index, info))
        if not isinstance(where, dict) or not isinstance(place, dict):
            continue
        block = place.get("relative_path"), place.get("offset"), place.get("length")
        if isinstance(block[0], str) and isinstance(block[1], int) and isinstance(block[2], int):
            found.setdefault(str(where.get("fqn"))[:400], {})[_ints(where.get("offset"))] = block  # type: ignore[assignment]
    return found


def _check(blocks: Mapping[str, Mapping[tuple[int, ...], _Block]], sizes: Mapping[str, int], content: Content) -> None:
    """Files that are missing or shorter than the metadata say."""
    ends: dict[str, int] = {}
    for places in blocks.values():
        for file, offset, length in places.values():
            ends[file] = max(ends.get(file, 0), offset + length)
    missing = sorted(f for f in ends if f not in sizes)
    if missing:
        names = ", ".join(missing[:4]) + (" …" if len(missing) > 4 else "")
        content.problems.append(Problem("missing-shards", f"{len(missing)} of {len(ends)} files are missing: {names}"))
    for file in sorted(ends):
        if sizes.get(file, ends[file]) < ends[file]:
            content.damaged(f"{file} is cut off: {sizes[file]:,} of {ends[file]:,} bytes")


def _tensor(
    name: str,
    state: dict[str, Any],
    places: Mapping[tuple[int, ...], _Block],
    sizes: Mapping[str, int],
    opened: Callable[[str], Window],
    content: Content,
) -> None:
    properties = state.get("properties")
    said = properties.state if isinstance(properties, Call) else None
    kind = said.get("dtype") if isinstance(said, dict) else said[0] if isinstance(said, tuple) and said else None
    if kind is None and isinstance(properties, Call) and properties.args:
        kind = properties.args[0]
    try:
        label = torch_dtype(kind) if isinstance(kind, (Global, str)) else "unknown"
    except Damaged:
        label = "unknown"
    pieces = []
    chunks = state.get("chunks")
    records = (
        [c.state for c in chunks if isinstance(c, Call) and isinstance(c.state, dict)]
        if isinstance(chunks, list)
        else []
    )
    for record in sorted(records, key=lambda r: _ints(r.get("offsets"))):
        place, shape = places.get(_ints(record.get("offsets"))), _ints(record.get("sizes"))
        if place is not None and place[0] in sizes and label != "unknown":
            pieces.append(Piece(_store(place, label, shape, opened), label, 0, shape, contiguous(shape)))
    content.add(Tensor(name, _ints(state.get("size")), label, role_of_name(name)), tuple(pieces))


def _store(place: _Block, label: str, shape: tuple[int, ...], opened: Callable[[str], Window]) -> Store:
    """The values of one block, which is a small torch file of one tensor within the big one (or raw bytes)."""

    def inner() -> Window:
        piece = _block(place, opened)
        found = content.found[0].pieces[0] if (content := _listed(piece)).found and content.found[0].pieces else None
        if found is None or found.shape != shape or found.dtype != label:
            raise Damaged(f"the block at {place[1]:,} of {place[0]} is not the tensor that .metadata says")
        window = found.store.open()
        if found.start or found.stride != contiguous(shape):
            raise Unread(f"the block at {place[1]:,} of {place[0]} is strided")
        return window

    return Store((place[0], place[1]), 1 << 62, inner)


def _value(
    name: str,
    places: Mapping[tuple[int, ...], _Block],
    sizes: Mapping[str, int],
    opened: Callable[[str], Window],
    content: Content,
) -> None:
    """A plain value (a step, a learning rate): a small torch file or pickle of one object."""
    place = next(iter(places.values()), None)
    if place is None or place[0] not in sizes or not 0 <= place[2] <= SMALL:
        return
    try:
        listed = _listed(_block(place, opened))
    except (Damaged, Unread, OSError):
        return
    content.names.update(listed.names)
    for key, value in listed.plain.items():
        content.note(f"{name}.{key}" if key else name, value, top="." not in name)


def _block(place: _Block, opened: Callable[[str], Window]) -> Window:
    return opened(place[0]).part(place[1], place[2])


def _listed(piece: Window) -> Content:
    content = Content("torch-zip")
    if piece.head(2) == b"PK":
        read_torch_zip(Zip(piece), content, None)
    else:
        read_pickle(piece, content, None)
    return content


def role_of_name(name: str) -> Role:
    """The role of a dotted name whose first component is the state it was saved under."""
    first, _, rest = name.partition(".")
    return (role_of_key(first) if rest else None) or role_of_tensor(name) or "model"


def _ints(value: Any) -> tuple[int, ...]:
    if isinstance(value, Call) and value.args:
        value = value.args[0]
    if not isinstance(value, (tuple, list)) or len(value) > 64:
        return ()
    return tuple(n for n in value if isinstance(n, int) and 0 <= n < 1 << 62)
