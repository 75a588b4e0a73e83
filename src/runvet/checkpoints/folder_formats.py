"""Checkpoints of several files as one unit: torch.distributed.checkpoint, Orbax, and TensorFlow's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runvet.checkpoints import opening
from runvet.checkpoints.content import Content, guarded
from runvet.checkpoints.formats import finished
from runvet.checkpoints.model import Checkpoint, Role
from runvet.checkpoints.orbax import read_orbax
from runvet.checkpoints.places import Place, Stat
from runvet.checkpoints.scan import scan


def read_distributed_folder(path: Place, relative: str, role: Role | None, *, deep: bool) -> Checkpoint:
    """A folder with `.metadata` and `*.distcp`. Never raises: what goes wrong is a problem of the result."""
    content, values, files = Content("torch-distributed"), None, dict[str, Stat]()
    with guarded(content):
        files = opening.distributed_files(path)
        with opening.distributed(path, content, files):
            values = scan(content, _size(files)) if deep else None
    made = finished(content, _base(relative, content.format, files), role, values)
    if role is not None:
        made = replace(
            made, tensors=tuple(replace(t, role=role if t.role == "model" else t.role) for t in made.tensors)
        )
    parts = tuple(
        Checkpoint(f"{relative}/{n}" if relative != "." else n, "distcp", files[n].st_size, made.modified)
        for n in sorted(files)
        if n.endswith(".distcp")
    )
    return replace(made, parts=parts)


def read_orbax_folder(path: Place, relative: str, *, deep: bool) -> Checkpoint:
    """An Orbax folder: what its JSON files say, and values where tensorstore is there. Never raises."""
    content, values, files = Content("orbax"), None, dict[str, Stat]()
    with guarded(content):
        files = opening.below(path)
        readable = read_orbax(path, {n: s.st_size for n, s in files.items()}, content)
        values = scan(content, _size(files)) if deep and readable else None
    return finished(content, _base(relative, "orbax", files), None, values)


def read_tensorflow(prefix: Place, relative: str, *, deep: bool) -> Checkpoint:
    """An index of TensorFlow with its data files. Never raises."""
    content, values, files = Content("tensorflow"), None, dict[str, Stat]()
    with guarded(content):
        files = opening.tensorflow_files(prefix)
        with opening.tensorflow(prefix, content, files):
            values = scan(content, _size(files)) if deep else None
    return finished(content, _base(relative, "tensorflow", files), None, values)


def _size(files: Mapping[str, Stat]) -> int:
    return sum(s.st_size for s in files.values())


def _base(relative: str, form: str, files: Mapping[str, Stat]) -> Checkpoint:
    return Checkpoint(relative, form, _size(files), max((s.st_mtime for s in files.values()), default=0.0))
