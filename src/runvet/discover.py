"""What a path holds: which reader reads which file, and what is left alone, and why."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from runvet.checkpoints.places import Place, RemotePath, place
from runvet.readers import Reader, _json_numbered, load, readers
from runvet.run import LINKED, Ignored, Log, Problem
from runvet.segments import numbered
from runvet.sink import POINTS, Sink
from runvet.source import Source, describe

SKIP_FOLDERS = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", "venv", "site-packages", ".mypy_cache",
                          ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", ".tox", ".cache", ".idea", ".vscode"})  # fmt: skip
# Files that hold no log, by suffix: they are not even opened here (checkpoints, samples and data have own evidence).
OTHER = {
    "checkpoint": ".pt .pth .ckpt .safetensors .bin .h5 .hdf5 .keras .pkl .pickle .distcp .onnx .gguf .msgpack .orbax .joblib .model .tar",
    "image, sound or film": ".png .jpg .jpeg .webp .gif .bmp .tif .tiff .svg .mp4 .avi .mov .webm .wav .mp3 .flac .ogg .ico .pdf .ps .eps",
    "array or data": ".npy .npz .parquet .arrow .feather .mat .ply .obj .glb .schem .nbt .mdb .lmdb .tfrecord .idx .pcd .stl .vtk .exr .hdr",
    "program": ".py .pyc .pyi .so .dll .exe .ipynb .c .cc .cpp .cu .h .hpp .js .ts .css .html .java .rs .go .whl .jar .lock .sh .bat .ps1",
    "document": ".md .rst .tex .docx .pptx .xlsx .bib",
}
_OTHER = {suffix: kind for kind, suffixes in OTHER.items() for suffix in suffixes.split()}
LOGS = (".wandb", "evaluations.npz")  # how names end whose suffix says otherwise
CROWD = 20  # more settings files of one name than this are samples of a data set, not configuration


@dataclass(slots=True)
class Found:
    """The logs below one path, with what was ignored and which reader took which file."""

    logs: list[Log] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    readers: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def expand(paths: Sequence[str]) -> list[Place]:
    """The paths and URLs a command line names: globs are expanded, the order kept.

    Raises FileNotFoundError naming the path or glob that matches nothing.
    """
    out: list[Place] = []
    for text in paths:
        path = place(text)
        if isinstance(path, RemotePath):
            out.append(path)
            continue
        matches = [path] if path.exists() else [Path(p) for p in sorted(glob.glob(text, recursive=True))]
        if not matches:
            raise FileNotFoundError(f"{text}: no such file or folder")
        out += matches
    return out


def files(root: Path, elsewhere: list[Path] | None = None) -> Iterator[Path]:
    """Every regular file below a folder in the order of names; a file reached twice through links comes once.

    Links to folders are not followed: they may lead to all data of a machine. Those that leave `root` go to `elsewhere`.
    """
    if not root.is_dir():
        yield root
        return
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(f for f in folders if f not in SKIP_FOLDERS)
        if elsewhere is not None:
            elsewhere += [p for f in folders if (p := Path(folder, f)).is_symlink() and not _inside(p, root)]
        for name in sorted(names):
            path = Path(folder, name)
            try:
                stat = path.stat()
            except OSError:
                continue  # a dangling link
            if path.is_file() and (stat.st_dev, stat.st_ino) not in seen:
                seen.add((stat.st_dev, stat.st_ino))
                yield path


def _inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def other(name: str) -> str | None:
    """What a file is by its suffix where that is no log: a checkpoint, a picture, a program; else None."""
    return None if name.endswith(LOGS) else _OTHER.get(Path(name).suffix.lower())


def claim(source: Source) -> Reader | None:
    """The reader that is surest of a file, or None. One that fails on a look claims nothing."""
    best, sure = None, 0.0
    for reader in readers():
        try:
            score = reader.claims(source)
        except Exception:  # noqa: S112  (a look at hostile bytes; another reader may know them)
            continue
        if score > sure:
            best, sure = reader, score
    return best


Look: TypeAlias = "Callable[[Path, str], tuple[Source, Reader | None]]"
Read: TypeAlias = "Callable[[Source, Reader], list[Log]]"


def look_at(path: Path, relative: str) -> tuple[Source, Reader | None]:
    """A file and the reader that takes it. Raises OSError, and ImportError naming the extra for zstd."""
    source = describe(path, relative)
    return source, claim(source)


def discover(root: Path, *, points: int | None = POINTS, look: Look = look_at, read: Read | None = None) -> Found:
    """Read every log and configuration below a path. What can't be read is a problem, never an exception.

    `look` and `read` may remember what they did before (see `follow.py`).
    """
    found = Found()
    seen: list[tuple[Source, Reader | None]] = []
    found.problems += [Problem(root.name, why) for why in load()[1]]
    elsewhere: list[Path] = []
    for path in files(root, elsewhere):
        relative = path.relative_to(root).as_posix() if root.is_dir() else path.name
        kind = other(relative) if path != root else None
        if kind:
            found.ignored.append(Ignored(relative, kind))
            continue
        try:
            source, reader = look(path, relative)
        except (OSError, ImportError) as error:
            found.problems.append(Problem(relative, str(error)))
            continue
        seen.append((source, reader))
    claimed = _sorted_out(seen, found, points)
    found.ignored += [Ignored(p.relative_to(root).as_posix(), LINKED) for p in elsewhere]
    crowd = Counter((source.name, reader.name) for source, reader in claimed if reader.kind == "settings")
    for source, reader in claimed:
        many = crowd[source.name, reader.name]
        if reader.kind == "settings" and many > CROWD:
            found.ignored.append(Ignored(source.relative, f"one of {many} files of this name: data, not configuration"))
            continue
        found.readers[source.relative] = reader.name
        found.bytes += source.size
        found.logs += read(source, reader) if read is not None else read_one(source, reader, points=points)
    return found


def _sorted_out(
    seen: Sequence[tuple[Source, Reader | None]], found: Found, points: int | None
) -> list[tuple[Source, Reader]]:
    """The files that are read one by one. Records of one log in a file each are read here, unknown files ignored."""
    loose = [source for source, reader in seen if reader is None or _json_numbered.summary(source, reader)]
    taken: set[str] = set()
    for group in _json_numbered.groups(loose):
        try:
            log = _json_numbered.read(group, points=points)
        except Exception as error:
            first = group[0].source.relative
            found.problems.append(Problem(first, f"reading stopped: {type(error).__name__}: {error}"))
            continue
        if log is not None:
            found.logs.append(numbered(log))
            taken.update(one.source.relative for one in group)
    claimed = []
    for source, reader in seen:
        if source.relative in taken:
            found.readers[source.relative] = _json_numbered.NAME
            found.bytes += source.size
        elif reader is None:
            found.ignored.append(Ignored(source.relative, "no reader knows it" if source.size else "empty"))
        else:
            claimed.append((source, reader))
    return claimed


def read_one(source: Source, reader: Reader, *, points: int | None = POINTS) -> list[Log]:
    """Read one file. An exception of the reader becomes a problem beside everything it had delivered."""
    sink = Sink(source.relative, reader.name, points=points)
    try:
        reader.read(source, sink)
    except Exception as error:
        sink.problem(f"reading stopped: {type(error).__name__}: {error}", remedy="everything before is used")
    return [numbered(log) for log in sink.close(modified=source.modified, size=source.size)]
