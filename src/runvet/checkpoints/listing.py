"""Every checkpoint below a path: planned from names, read in parallel where an executor is given, joined."""

from __future__ import annotations

import re
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from runvet.checkpoints.assemble import assembled
from runvet.checkpoints.cache import Cache
from runvet.checkpoints.candidates import Folder, named_sure, strength, suggested, tree
from runvet.checkpoints.folder_formats import read_distributed_folder, read_orbax_folder
from runvet.checkpoints.folders import Plan, plans
from runvet.checkpoints.formats import read_file
from runvet.checkpoints.model import Checkpoint, Role, Tensor
from runvet.checkpoints.names import role_of_file


def list_checkpoints(
    path: str | Path, *, deep: bool = False, executor: Executor | None = None, cache: bool = True
) -> list[Checkpoint]:
    """Every checkpoint at or below a path, by folder and step; paths relative to it (its own name for a file).

    Headers only, unless `deep`: then all values are scanned. Nothing is executed, imported or unpickled, and damaged
    files are listed with what is wrong. `executor` reads files in parallel (threads or processes). Results of files
    that have not changed come from the user's cache unless `cache` is False.
    Raises FileNotFoundError where the path does not exist.
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"no such file or folder: {root}")
    if root.is_dir():
        folder = tree(root)
        planned = plans(folder)
    else:
        stat = root.stat()
        folder = Folder(root.parent, "", {root.name: (stat.st_size, stat.st_mtime)})
        planned = [Plan(root.name, root.name, "file", sure=True, role=role_of_file(root.name), folder=folder)]
    units = [unit for plan in planned for unit in _units(plan)]
    read = _read_all(units, deep, executor, Cache(on=cache))
    single = root.is_file()
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
            listed.append(found)
    return sorted(listed, key=_order)


_Job = tuple[str, Path, str, "Role | None", bool]


def _units(plan: Plan) -> list[Plan]:
    """What is read by itself: single files, and folders that are one unit."""
    own = [plan] if plan.kind in ("file", "distributed", "orbax") else []
    return [*own, *(u for part in plan.parts for u in _units(part))]


def _read_all(units: list[Plan], deep: bool, executor: Executor | None, cache: Cache) -> dict[str, Checkpoint]:
    read: dict[str, Checkpoint] = {}
    jobs: list[_Job] = []
    shared: dict[tuple[Tensor, ...], tuple[Tensor, ...]] = {}
    for unit in units:
        place = _place(unit)
        kept = None
        if unit.kind == "file" and unit.folder is not None and unit.name in unit.folder.files:
            kept = cache.get(place.absolute(), *unit.folder.files[unit.name], deep=deep, key=unit.role or "")
        if kept is not None:
            read[unit.relative] = _interned(replace(kept, path=unit.relative), shared)
        else:
            jobs.append((unit.kind, place, unit.relative, unit.role, deep))
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
    cache.close()
    return read


def _place(unit: Plan) -> Path:
    assert unit.folder is not None
    return unit.folder.path / unit.name if unit.kind == "file" else unit.folder.path


def _job(job: _Job) -> Checkpoint:
    """One unit, in whatever process."""
    kind, place, relative, role, deep = job
    if kind == "distributed":
        return read_distributed_folder(place, relative, role, deep=deep)
    if kind == "orbax":
        return read_orbax_folder(place, relative)
    return read_file(place, relative, role, deep=deep)


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
    if found.format in ("torch-zip", "torch-legacy", "safetensors", "keras", "hdf5") or found.kind:
        return (bool(found.tensors) and readable and not named_sure(plan.name)) or suggested(plan.relative)
    return bool(found.tensors) and suggested(plan.relative) and strength(plan.relative) is not None


def _order(found: Checkpoint) -> tuple[str, bool, float, float, list[int], str]:
    """By folder, then step, then epoch, then the numbers in the name."""
    numbers = [int(n[:18]) for n in re.findall(r"\d+", found.path)]
    return (found.path.rpartition("/")[0], found.step is None, found.step or 0, found.epoch or 0.0, numbers, found.path)
