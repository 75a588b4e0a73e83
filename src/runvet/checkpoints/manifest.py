"""What was written, in a small JSON file beside it, and whether that is still what lies there. Needs no torch."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from runvet.checkpoints.problems import Damaged, Problem
from runvet.checkpoints.window import Window
from runvet.checkpoints.zipdir import Zip

NAME = "manifest.json"  # of a checkpoint that is a folder; FILE.manifest.json beside one that is a file
FORMAT_VERSION = 1
LIMIT = 64 << 20  # bytes of a manifest that are still read
_BLOCK = 1 << 20
_DEPTH = 12
Layout: TypeAlias = Literal["full", "sharded"]


class NoManifest(FileNotFoundError):
    """Nothing at or below a path has a manifest: it was not written by `runvet.checkpoints`, or the manifest is lost."""


class BadManifest(ValueError):
    """A manifest that is not what `Manifest.to_json` writes: cut off, changed by hand, or from a newer version."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its name relative to the manifest's folder (with slashes), its size, its SHA-256 as 64 hex digits.

    The SHA-256 is empty for a torch file that was saved without: its members' CRC-32s have to do.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checkpoint, as it was when it was written and verified.

    `layout` is 'full' (one file with everything) or 'sharded' (a torch.distributed.checkpoint folder). `tensors` and
    `parameters` count everything stored. `loader_length` is batches per epoch and rank. `metrics` are what the caller
    gave with the save. `created` is unix seconds. `replaces` is the manifest of the file that this one replaces: the
    manifest is written first, so whichever of the two files lies there after a crash is known.
    """

    files: tuple[FileEntry, ...]
    step: int | None = None
    epoch: float | None = None
    world_size: int = 1
    loader_length: int | None = None
    commit: str | None = None
    config_hash: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    layout: Layout = "full"
    tensors: int = 0
    parameters: int = 0
    created: float = 0.0
    writer: str = ""
    replaces: Manifest | None = None
    format_version: int = FORMAT_VERSION

    def to_json(self) -> bytes:
        """The manifest as JSON text, with a checksum of its own."""
        plain = _plain(self)
        plain["checksum"] = _checksum(plain)
        return orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def parse(data: bytes) -> Manifest:
    """A manifest from its JSON text. Raises BadManifest."""
    try:
        plain = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadManifest(f"no JSON ({error})") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("format_version"), int):
        raise BadManifest("no manifest of a checkpoint")
    if plain["format_version"] > FORMAT_VERSION:
        raise BadManifest(f"of format version {plain['format_version']}, this runvet knows {FORMAT_VERSION}: update it")
    if plain.pop("checksum", None) != _checksum(plain):
        raise BadManifest("it was changed after it was written: its own checksum differs")
    return _manifest(plain)


def read(path: Path) -> Manifest:
    """The manifest in a file. Raises BadManifest, OSError."""
    with path.open("rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise BadManifest(f"larger than {LIMIT:,} bytes")
    return parse(data)


def place(checkpoint: Path) -> Path:
    """Where the manifest of a checkpoint is: inside a folder, beside a file."""
    return checkpoint / NAME if checkpoint.is_dir() else sidecar(checkpoint)


def sidecar(file: Path) -> Path:
    """The manifest of a checkpoint that is one file."""
    return file.with_name(f"{file.name}.{NAME}")


def find(path: str | Path) -> list[Path]:
    """All manifests of checkpoints at or below a path, sorted. Unfinished and hidden folders are left out."""
    root = Path(path)
    if root.is_file():
        own = root if root.name.endswith(NAME) else sidecar(root)
        return [own] if own.is_file() else []
    return sorted(_below(root, 0))


def verify(path: str | Path) -> list[Problem]:
    """Compare files with their manifests, at or below a path: sizes and SHA-256. No problems: all is as it was written.

    `path` is a checkpoint (file or folder), a manifest, or a folder of checkpoints. Messages begin with the place,
    relative to `path`. Raises FileNotFoundError where the path does not exist, NoManifest where there is no manifest.
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"no such file or folder: {root}")
    manifests = find(root)
    if not manifests:
        raise NoManifest(f"no manifest at {root}: checkpoints written by runvet.checkpoints have one, others do not")
    base = root if root.is_dir() else root.parent
    problems = []
    for manifest in manifests:
        shown = manifest.relative_to(base).as_posix()
        problems += [replace(p, message=f"{shown}: {p.message}") for p in check(manifest)]
    return problems


def check(manifest: Path) -> list[Problem]:
    """What is wrong with the checkpoint of one manifest. Never raises for what lies there, only says it."""
    try:
        known = read(manifest)
    except (BadManifest, OSError) as error:
        return [Problem("damaged-checkpoint", f"the manifest cannot be used: {error}")]
    problems = [p for entry in known.files for p in _check_file(manifest.parent, entry)]
    if not problems or known.replaces is None:
        return problems
    older = [p for entry in known.replaces.files for p in _check_file(manifest.parent, entry)]
    return problems if older else []


def held(manifest: Path) -> Manifest | None:
    """The manifest that holds for the files that lie there: the newer or the one it replaces; None where neither does."""
    try:
        known = read(manifest)
    except (BadManifest, OSError):
        return None
    for each in (known, known.replaces):
        if each is not None and not any(p for e in each.files for p in _check_file(manifest.parent, e)):
            return each
    return None


def entry(folder: Path, name: str) -> FileEntry:
    """The entry of a file below a folder, by reading it. Raises OSError."""
    size, digest = hashed(folder / name)
    return FileEntry(name, size, digest)


def hashed(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return size, digest.hexdigest()


def _check_file(folder: Path, known: FileEntry) -> Iterator[Problem]:
    place = folder / known.name
    try:
        if not place.is_file():
            yield Problem("missing-shards", f"{known.name} is missing")
            return
        size = place.stat().st_size
        if size != known.bytes:
            yield Problem("damaged-checkpoint", f"{known.name} has {size:,} bytes, {known.bytes:,} were written")
        elif not known.sha256:
            yield from _check_archive(place, known.name)
        elif hashed(place)[1] != known.sha256:
            yield Problem("damaged-checkpoint", f"{known.name} has changed since it was written: its SHA-256 differs")
    except OSError as error:
        yield Problem("unread-checkpoint", f"{known.name} cannot be read: {error.strerror or error}")


def _check_archive(place: Path, name: str) -> Iterator[Problem]:
    """Compare every member of a zip file with the CRC-32 that its directory holds."""
    window = Window.of(place)
    buffer = memoryview(bytearray(_BLOCK))
    try:
        archive = Zip(window)
        for member in archive.members.values():
            part, crc = archive.stored(member), 0
            for at in range(0, part.size, _BLOCK):
                block = buffer[: min(_BLOCK, part.size - at)]
                part.fill(at, block)
                crc = zlib.crc32(block, crc)
            if crc != member.crc:
                raise Damaged(f"the CRC-32 of {member.name[-80:]!r} differs")
    except Damaged as error:
        yield Problem("damaged-checkpoint", f"{name} has changed since it was written: {error}")
    finally:
        window.close()


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for each in entries:
        if each.is_dir() and not each.is_symlink():
            if depth < _DEPTH and not each.name.startswith("."):
                yield from _below(each, depth + 1)
        elif _ours(each):
            yield each


def _ours(path: Path) -> bool:
    """Whether a file is a manifest of a checkpoint: other tools write a manifest.json too."""
    if path.name.startswith(".") or not (path.name == NAME or path.name.endswith(f".{NAME}")) or not path.is_file():
        return False
    if path.name != NAME:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return True
    if b'"runvet' in head:
        return True
    try:
        orjson.loads(head)
    except orjson.JSONDecodeError:
        return len(head.strip(b"\0")) < 32  # ours, cut off before it says so
    return False


def _checksum(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _plain(manifest: Manifest) -> dict[str, Any]:
    return {
        "writer": manifest.writer,
        "format_version": manifest.format_version,
        "step": manifest.step,
        "epoch": manifest.epoch,
        "layout": manifest.layout,
        "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in manifest.files],
        "tensors": manifest.tensors,
        "parameters": manifest.parameters,
        "world_size": manifest.world_size,
        "loader_length": manifest.loader_length,
        "commit": manifest.commit,
        "config_hash": manifest.config_hash,
        # JSON has no infinity: a metric that is not finite is kept as text.
        "metrics": {k: v if abs(v) < float("inf") else repr(v) for k, v in manifest.metrics.items()},
        "created": manifest.created,
        "replaces": _plain(manifest.replaces) if manifest.replaces else None,
    }


def _manifest(plain: Any) -> Manifest:
    try:
        files = tuple(_file(f) for f in plain["files"])
        older = plain.get("replaces")
        epoch = plain.get("epoch")
        return Manifest(
            files=files,
            step=_whole(plain.get("step")),
            epoch=None if epoch is None else float(epoch),
            world_size=int(plain.get("world_size", 1)),
            loader_length=_whole(plain.get("loader_length")),
            commit=plain.get("commit"),
            config_hash=plain.get("config_hash"),
            metrics={str(k): float(v) for k, v in plain.get("metrics", {}).items()},
            layout="sharded" if plain.get("layout") == "sharded" else "full",
            tensors=int(plain.get("tensors", 0)),
            parameters=int(plain.get("parameters", 0)),
            created=float(plain.get("created", 0.0)),
            writer=str(plain.get("writer", "")),
            replaces=None if older is None else replace(_manifest(older), replaces=None),
            format_version=int(plain["format_version"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadManifest(f"a field is missing or wrong ({error})") from None


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _file(plain: Any) -> FileEntry:
    name = str(plain["name"])
    if name.startswith(("/", "\\")) or ":" in name or ".." in Path(name).parts:
        raise ValueError(f"a file outside the checkpoint: {name[:80]!r}")
    return FileEntry(name, int(plain["bytes"]), str(plain["sha256"]))
