"""The files of a folder that may be artifacts. Listed by name within a bound; opened only when asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from runvet.artifacts import calibrations, columns_files, npz, pictures, sounds, structures, tables, texts
from runvet.artifacts.model import Artifacts, Contents, Item, Listing

T = TypeVar("T")
FILES = 300_000  # files listed below one run
READERS: Mapping[str, Callable[[Path], Contents]] = {
    ".npz": npz.read_npz,
    ".npy": npz.read_npy,
    ".png": pictures.read_png,
    ".json": tables.read_json,
    ".jsonl": tables.read_jsonl,
    ".csv": tables.read_csv,
    ".yaml": calibrations.read_yaml,
    ".yml": calibrations.read_yaml,
    ".parquet": columns_files.read_parquet,
    ".wav": sounds.read_wav,
    ".txt": texts.read_text,
    **dict.fromkeys((".h5", ".hdf5"), columns_files.read_hdf5),
    **dict.fromkeys((".schem", ".schematic", ".nbt"), structures.read_structure),
    **dict.fromkeys(pictures.PILLOW, pictures.read_with_pillow),
}
PEEKS = {
    ".npz": npz.peek_npz,
    ".npy": npz.peek_npy,
    **dict.fromkeys((".h5", ".hdf5"), columns_files.peek_hdf5),
}


def below(root: Path, named: str = "") -> Artifacts:
    """The artifacts below a folder (none for a single log file). Listed on first use.

    `named` stands before every name: what the folder itself is called, where its name tells what the files are.
    """
    return Artifacts(lambda: _list(root, f"{named}/" if named else ""))


def item_of(path: Path, name: str) -> Item | None:
    """The item of one file, or None where its suffix is none that is read."""
    return _item(str(path), name)


def _item(place: str, name: str) -> Item | None:
    suffix = os.path.splitext(name)[1].lower()
    read = READERS.get(suffix)
    if read is None:
        return None
    peek = PEEKS.get(suffix)
    return Item(name, _size(place), partial(_through, read, place), partial(_through, peek, place) if peek else None)


def _through(read: Callable[[Path], T], place: str) -> T:
    """A file through its reader. Listing thousands of files is quicker where no path is taken apart."""
    return read(Path(place))


def _size(place: str) -> int:
    try:
        return os.stat(place).st_size
    except OSError:
        return 0


def _list(root: Path, before: str = "") -> Listing:
    if not root.is_dir():
        found = (
            item_of(root, root.name)
            if root.suffix.lower() not in (".json", ".jsonl", ".csv", ".yaml", ".yml", ".txt")
            else None
        )
        return Listing((found,) if found else ())
    items: list[Item] = []
    note, base = "", str(root)
    for relative in _walk(root):
        if len(items) >= FILES:
            note = f"only the first {FILES:,} files below {root.name} are looked at"
            break
        found = _item(os.path.join(base, relative), before + relative)
        if found is not None:
            items.append(found)
    return Listing(tuple(sorted(items, key=lambda i: i.name)), note)


def _walk(root: Path) -> Iterator[str]:
    from runvet.discover import SKIP_FOLDERS

    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(f for f in folders if f not in SKIP_FOLDERS)
        prefix = os.path.relpath(folder, root).replace(os.sep, "/")
        for name in sorted(names):
            yield name if prefix == "." else f"{prefix}/{name}"
