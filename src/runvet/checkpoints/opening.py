"""Checkpoints opened for their values: a file, or a folder (or table with its data files) that is one unit.

Each function fills a content and keeps the files open inside its block. They raise Damaged, Unread and OSError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from runvet.checkpoints.content import Content
from runvet.checkpoints.distributed import read_distributed
from runvet.checkpoints.formats import read_window
from runvet.checkpoints.names import TENSORFLOW_DATA
from runvet.checkpoints.orbax import read_orbax
from runvet.checkpoints.places import Place, RemotePath, Stat
from runvet.checkpoints.problems import Damaged, Unread
from runvet.checkpoints.window import Window

K = TypeVar("K", str, int)


@contextmanager
def opened(place: Place, form: str) -> Iterator[Content]:
    """A checkpoint (or part of one) of this `Checkpoint.format`, listed, its values within reach."""
    content = Content(form)
    with ExitStack() as stack:
        if form == "torch-distributed":
            stack.enter_context(distributed(place, content, distributed_files(place)))
        elif form == "tensorflow":
            stack.enter_context(tensorflow(place, content, tensorflow_files(place)))
        elif form == "orbax":
            if not read_orbax(place, {n: s.st_size for n, s in below(place).items()}, content):
                raise Unread("values of Orbax folders need an extra and a local copy: pip install 'runvet[orbax]'")
        else:
            read_window(stack.enter_context(closing(Window.of(place))), place.name, content, None)
        yield content


@contextmanager
def distributed(folder: Place, content: Content, files: dict[str, Stat]) -> Iterator[None]:
    """A folder of torch.distributed.checkpoint."""
    if ".metadata" not in files:
        raise Damaged(
            f".metadata is missing: the save died before its last step ({len(files)} files of blocks are there)"
        )

    def place(name: str) -> Place:
        if name not in files:  # also keeps names such as ../../x inside the folder
            raise Damaged(f"{name[:80]} is not in the folder")
        return folder / name

    with _windows(place) as window:
        read_distributed(window(".metadata"), {n: s.st_size for n, s in files.items()}, window, content)
        yield


@contextmanager
def tensorflow(prefix: Place, content: Content, files: dict[str, Stat]) -> Iterator[None]:
    """An index of TensorFlow with its data files."""
    from runvet.checkpoints.tensorflow_index import read_index  # loads the reader of protobuf

    if f"{prefix.name}.index" not in files:
        raise Damaged("its index is missing: the save died before its last step")
    shards = {int(m["shard"]): name for name in files if (m := TENSORFLOW_DATA.match(name))}

    def place(shard: int) -> Place:
        return prefix.parent / shards[shard]

    with _windows(place) as window:
        with closing(Window.of(prefix.parent / f"{prefix.name}.index")) as index:
            read_index(index, {n: files[name].st_size for n, name in shards.items()}, window, content)
        yield


@contextmanager
def _windows(place: Callable[[K], Place]) -> Iterator[Callable[[K], Window]]:
    """Files opened when they are first asked for, and closed together."""
    known: dict[K, Window] = {}
    with ExitStack() as stack:

        def window(key: K) -> Window:
            if key not in known:
                known[key] = stack.enter_context(closing(Window.of(place(key))))
            return known[key]

        yield window


def distributed_files(folder: Place) -> dict[str, Stat]:
    """The files of a folder of torch.distributed.checkpoint by name."""
    wanted = (p for p in folder.iterdir() if p.name == ".metadata" or p.suffix in (".distcp", ".safetensors"))
    return {place.name: stat for place, stat in _stats(wanted)}


def tensorflow_files(prefix: Place) -> dict[str, Stat]:
    """The index and the data files of a prefix by name."""
    name = prefix.name
    wanted = (p for p in prefix.parent.iterdir() if p.name == f"{name}.index" or _prefix(p.name) == name)
    return {place.name: stat for place, stat in _stats(wanted)}


def _prefix(name: str) -> str | None:
    data = TENSORFLOW_DATA.match(name)
    return data["prefix"] if data else None


def below(folder: Place) -> dict[str, Stat]:
    """Every file below a folder by its relative name."""
    if isinstance(folder, RemotePath):
        return dict(folder.find())
    start = len(folder.parts)
    every = _stats(sorted(folder.rglob("*")))
    return {"/".join(place.parts[start:]): stat for place, stat in every if isinstance(place, Path)}


def _stats(places: Iterable[Place]) -> list[tuple[Place, Stat]]:
    """Sizes and times of those that are files and still there."""
    found = []
    for place in places:
        with suppress(OSError):
            if place.is_file():
                stat = place.stat()
                found.append((place, Stat(stat.st_size, stat.st_mtime)))
    return found
