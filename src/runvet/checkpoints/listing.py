"""Every checkpoint below a path: planned from names, read in parallel where an executor is given, joined."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeAlias

from runvet.checkpoints.assemble import assembled
from runvet.checkpoints.cache import Cache
from runvet.checkpoints.candidates import Folder, named_sure, strength, suggested, tree
from runvet.checkpoints.folder_formats import read_distributed_folder, read_orbax_folder, read_tensorflow
from runvet.checkpoints.folders import Plan, plans
from runvet.checkpoints.formats import read_file
from runvet.checkpoints.model import Checkpoint, Role, Tensor
from runvet.checkpoints.names import role_of_file
from runvet.checkpoints.places import Place, RemotePath, Stat, place

Choose: TypeAlias = "Callable[[Sequence[Checkpoint]], Collection[str]]"


def list_checkpoints(
    path: str | Place, *, deep: bool | Choose = False, executor: Executor | None = None, cache: bool = True
) -> list[Checkpoint]:
    """Every checkpoint at or below a path, by folder and step; paths relative to it (its own name for a file).

    Headers only, unless `deep`: then all values are scanned, or those of the checkpoints whose paths a function
    chooses from what the headers say. Nothing is executed, imported or unpickled, and damaged
    files are listed with what is wrong. `executor` reads files in parallel (threads or processes). Results of files
    that have not changed come from the user's cache unless `cache` is False.
    A URL is read through fsspec, by ranges. Raises FileNotFoundError where the path does not exist, and RemoteError
    where a store cannot be read.
    """
    root = place(path)
    if not root.exists():
        raise FileNotFoundError(f"no such file or folder: {root}")
    planned = _planned(root)
    kept = Cache(on=cache)
    every = deep is True
    read = _read_all([unit for plan in planned for unit in _units(plan)], every, executor, kept)
    listed = _listed(planned, read, single=root.is_file())
    if callable(deep) and listed:
        chosen = deep([found for _, found in listed])
        again = [plan for plan, found in listed if found.path in chosen]
        read |= _read_all([unit for plan in again for unit in _units(plan)], True, executor, kept)
        fresh = {id(plan): assembled(plan, read) for plan in again}
        listed = [(plan, fresh.get(id(plan)) or found) for plan, found in listed]
    kept.close()
    return sorted((found for _, found in listed), key=_order)


def _planned(root: Place) -> list[Plan]:
    if root.is_dir():
        return plans(tree(root))
    stat = root.stat()
    folder = Folder(root.parent, "", {root.name: (stat.st_size, stat.st_mtime)})
    return [Plan(root.name, root.name, "file", sure=True, role=role_of_file(root.name), folder=folder)]


def _listed(planned: Sequence[Plan], read: Mapping[str, Checkpoint], *, single: bool) -> list[tuple[Plan, Checkpoint]]:
    """What was read, as checkpoints; files that turned out to be none are left out."""
    listed = []
    for plan in planned:
        if (
            plan.kind == "file"
            and plan.relative in read
            and not single
            and not _is_checkpoint(plan, read[plan.relative])
        ):
            continue
        found = assembled(plan, read)
        if found is not None:
            listed.append((plan, found))
    return listed


_Job = tuple[str, Place, str, "Role | None", bool]


def _units(plan: Plan) -> list[Plan]:
    """What is read by itself: single files, and folders that are one unit."""
    own = [plan] if plan.kind != "set" else []
    return [*own, *(u for part in plan.parts for u in _units(part))]


def _read_all(units: Sequence[Plan], deep: bool, executor: Executor | None, cache: Cache) -> dict[str, Checkpoint]:
    read: dict[str, Checkpoint] = {}
    jobs: list[_Job] = []
    shared: dict[tuple[Tensor, ...], tuple[Tensor, ...]] = {}
    for unit in units:
        at = _place(unit)
        kept = None
        if unit.kind == "file" and unit.folder is not None and unit.name in unit.folder.files:
            kept = cache.get(at.absolute(), *unit.folder.files[unit.name], deep=deep, key=unit.role or "")
        if kept is not None:
            read[unit.relative] = _interned(replace(kept, path=unit.relative), shared)
        else:
            jobs.append((unit.kind, at, unit.relative, unit.role, deep))
    done = (
        executor.map(_job, jobs, chunksize=max(1, min(64, len(jobs) // 16)))
        if executor and len(jobs) > 1
        else map(_job, jobs)
    )
    fresh = []
    for job, result in zip(jobs, done, strict=True):
        read[job[2]] = _interned(result, shared)
        if job[0] == "file":
            fresh.append((job[1].absolute(), job[3] or "", read[job[2]]))
    cache.put(fresh, deep=deep)
    return read


def _place(unit: Plan) -> Place:
    assert unit.folder is not None
    if unit.kind in ("distributed", "orbax"):
        return unit.folder.path
    at = unit.folder.path / unit.name
    known = unit.folder.files.get(unit.name)
    return RemotePath(at.url, Stat(*known), folder=False) if isinstance(at, RemotePath) and known else at


def _job(job: _Job) -> Checkpoint:
    """One unit, in whatever process."""
    kind, at, relative, role, deep = job
    if kind == "distributed":
        return read_distributed_folder(at, relative, role, deep=deep)
    if kind == "orbax":
        return read_orbax_folder(at, relative, deep=deep)
    if kind == "tensorflow":
        return read_tensorflow(at, relative, deep=deep)
    return read_file(at, relative, role, deep=deep)


def _interned(found: Checkpoint, shared: dict[tuple[Tensor, ...], tuple[Tensor, ...]]) -> Checkpoint:
    """Siblings have the same tensors: one copy of their names and shapes is enough for ten thousand."""
    return replace(found, tensors=shared.setdefault(found.tensors, found.tensors))


def _is_checkpoint(plan: Plan, found: Checkpoint) -> bool:
    """Whether a single file is one by its content: tensors, a state that should hold some, damage, or hidden code."""
    if found.dangerous:
        return True
    if plan.sure:
        plain_only = not found.tensors and not any(
            p.name in ("damaged-checkpoint", "unread-checkpoint") for p in found.problems
        )
        if [t.name for t in found.tensors] == [""]:  # one bare tensor: data, unless its name says otherwise
            return suggested(plan.relative)
        hollow = bool(found.empty_states) or not found.plain
        return not plain_only or (plan.role != "other" and (hollow or suggested(plan.relative)))
    readable = not any(p.name in ("damaged-checkpoint", "unread-checkpoint") for p in found.problems)
    if found.format in ("torch-zip", "torch-legacy", "safetensors", "keras", "hdf5", "msgpack") or found.kind:
        return (bool(found.tensors) and readable and not named_sure(plan.name)) or suggested(plan.relative)
    return bool(found.tensors) and suggested(plan.relative) and strength(plan.relative) is not None


def _order(found: Checkpoint) -> tuple[str, bool, float, float, list[int], str]:
    """By folder, then step, then epoch, then the numbers in the name."""
    numbers = [int(n[:18]) for n in re.findall(r"\d+", found.path)]
    return (found.path.rpartition("/")[0], found.step is None, found.step or 0, found.epoch or 0.0, numbers, found.path)
