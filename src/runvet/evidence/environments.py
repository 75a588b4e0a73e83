"""What the run recorded about its code: directories, commits, packages, one record per process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runvet.evidence import Missing, provides
from runvet.evidence.settings import name_of
from runvet.run import Setting, Stage

CWD = frozenset({"cwd", "working_directory", "working_dir", "work_directory", "current_directory", "original_cwd"})
COMMIT = frozenset(
    {"git_commit", "commit", "git_sha", "git_hash", "commit_hash", "git_revision", "git_rev", "revision"}
)
PROCESSES = ("world_size", "num_processes", "nproc_per_node", "num_gpus", "n_gpus", "gpu_count")
DIRTY = frozenset({"git_dirty", "dirty", "is_dirty", "git_is_dirty"})
PACKAGES = re.compile(r"(?:^|\.)(?:packages?|modules?|imports?|versions?|libraries|dependencies)\.([^.].*)$")
# A line that tells the directory a program runs in; `work_dir` alone is where many programs write their output.
RUNS_IN = re.compile(
    r"(?:\bcwd\b|\bcurrent[ _-](?:working[ _-])?dir(?:ectory)?|\bworking[ _-]dir(?:ectory)?)\s*(?:is|[:=])?\s*['\"]?((?:/|~|[A-Za-z]:[\\/])[^\s'\",;]+)",
    re.IGNORECASE,
)
ABSOLUTE = re.compile(r"^(?:/|[A-Za-z]:[\\/])")


@dataclass(frozen=True, slots=True)
class Environment:
    """One record: its place and what it says; None or empty for what it does not say."""

    source: str
    time: str
    cwd: str | None
    commit: str | None
    dirty: bool | None
    world_size: float | None
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that a process ran in, or imported project code from, with the place that says so."""

    path: str
    where: str


@dataclass(frozen=True, slots=True)
class Environments:
    """Records in the order of their time, and directories told by the log in its order; at least one of either."""

    records: tuple[Environment, ...]
    directories: tuple[Directory, ...]


@provides
def environments(stage: Stage) -> Environments | Missing:
    by_source: dict[str, list[Setting]] = {}
    for setting in stage.settings:
        by_source.setdefault(setting.source, []).append(setting)
    records = [r for source, told in by_source.items() if (r := _record(source, told)) is not None]
    directories = []
    for event in stage.events:
        if event.kind == "work-dir":
            match = RUNS_IN.search(event.text)
            if match:
                directories.append(Directory(clean(match.group(1)), event.where))
    records.sort(key=lambda r: (r.time, r.source))
    if not records and not directories:
        return Missing(
            "no record of directory, commit or versions", "write cwd, git commit and package versions at every start"
        )
    return Environments(tuple(records), tuple(directories))


def clean(path: str) -> str:
    """A path without a trailing separator."""
    return path.rstrip("/\\.,)") or path


def _record(source: str, told: list[Setting]) -> Environment | None:
    cwd = commit = dirty = world = None
    time, packages = "", {}
    for setting in told:
        last = name_of(setting)
        value = setting.value
        if last in CWD and isinstance(value, str) and ABSOLUTE.match(value):
            cwd = cwd or clean(value)
        elif last in COMMIT and isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{7,40}", value):
            commit = commit or value
        elif last in DIRTY and isinstance(value, bool):
            dirty = value
        elif last in PROCESSES and setting.number is not None:
            world = setting.number
        elif last in ("time", "timestamp", "date", "started", "startedat", "start_time") and not time:
            time = str(value)
        elif match := PACKAGES.search(setting.key):
            packages[match.group(1)] = str(value)
    if cwd is None and commit is None:
        return None
    return Environment(source, time, cwd, commit, dirty, world, packages)
