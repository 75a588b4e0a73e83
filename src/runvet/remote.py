"""A run behind a URL: its logs are fetched while they are read, its checkpoints are read by ranges."""

from __future__ import annotations

import tempfile
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from runvet.checkpoints import reading
from runvet.checkpoints.candidates import Folder, tree
from runvet.checkpoints.folders import plans
from runvet.checkpoints.places import RemotePath
from runvet.config import Config
from runvet.discover import discover, other
from runvet.run import Ignored, Problem, Run, Stage
from runvet.sink import POINTS
from runvet.stages import build

FILE = 256 << 20  # bytes of one log that are still fetched
ALL = 2 << 30  # bytes of all logs


def read_logs(root: RemotePath, config: Config, *, points: int | None = POINTS) -> Run:
    """The logs and configurations below a URL, copied to a temporary folder for as long as they are read.

    What is too large is a problem of the run, by name. Raises RemoteError, ConfigError.
    """
    problems: list[Problem] = []
    ignored: list[Ignored] = []
    with tempfile.TemporaryDirectory(prefix="runvet-") as folder:
        copy = Path(folder, root.name or "run")
        if root.is_file():
            copy.write_bytes(root.read_bytes())
        else:
            copy.mkdir()
            _fetch(tree(root), root, copy, problems, ignored)
        run = build(str(copy), discover(copy, points=points), config)
    return replace(
        run, path=str(root), problems=(*run.problems, *problems), ignored=(*run.ignored, *ignored)
    )  # fmt: skip


def with_checkpoints(
    run: Run, root: RemotePath, *, deep: bool = False, executor: Executor | None = None, cache: bool = True
) -> Run:
    """The run with the checkpoints behind a URL: headers only, all values with `deep`. Samples are left alone."""
    found = reading.below(root, deep=deep or None, executor=executor, cache=cache)
    stages = run.stages or ((Stage(root.name or "run", "", ()),) if found else ())
    return replace(run, checkpoints=found, stages=stages)


def _fetch(folder: Folder, root: RemotePath, copy: Path, problems: list[Problem], ignored: list[Ignored]) -> None:
    """Copy what may be a log; never a checkpoint, a sample or a program."""
    left = ALL
    parts = tuple(f"{p.relative}/" for p in plans(folder) if p.kind not in ("file", "set"))
    for relative, size in _files(folder):
        kind = "checkpoint" if relative.startswith(parts) or "./" in parts else other(relative)
        if kind is not None:
            ignored.append(Ignored(relative, kind))
            continue
        if size > min(FILE, left):
            problems.append(
                Problem(
                    relative, f"{size:,} bytes behind a URL are not fetched", remedy="copy the run here, or its logs"
                )
            )
            continue
        left -= size
        place = copy / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.write_bytes((root / relative).read_bytes())
        except OSError as error:
            problems.append(Problem(relative, str(error)))


def _files(folder: Folder) -> list[tuple[str, int]]:
    own = [(folder.inside(name), size) for name, (size, _) in folder.files.items()]
    return own + [f for inner in folder.folders.values() for f in _files(inner)]
