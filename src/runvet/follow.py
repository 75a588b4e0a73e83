"""Reading a run again and again while it grows: only what is new is read.

A file of which size, time and identity stay the same is not opened again. One that has grown is read on from where
it ended, if its reader can (`Reader.resume`); everything else that changed is read from its start.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from pathlib import Path

from runvet.beside import beside
from runvet.config import Config
from runvet.discover import discover, look_at, read_one
from runvet.readers import Reader
from runvet.readers._resume import Resumed
from runvet.run import Log, Run
from runvet.segments import numbered
from runvet.sink import POINTS, Sink
from runvet.source import BLOCK, HEAD, Source
from runvet.stages import build

PROOF = 256  # bytes before the end of what was read that must still be there
Signature = tuple[int, int, int, int]


@dataclass(slots=True)
class _File:
    """What is remembered of one file. `state` has read `offset` bytes, which end in `proof`."""

    signature: Signature
    source: Source
    reader: Reader | None
    logs: list[Log] | None = None
    state: Resumed | None = None
    offset: int = 0
    proof: bytes = b""


@dataclass(slots=True)
class Read:
    """What one look cost: files read on, files read from their start, bytes read of both."""

    resumed: int = 0
    whole: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Follower:
    """Reads one path as often as `look` is called."""

    root: Path
    config: Config
    points: int | None = POINTS
    cost: Read = field(default_factory=Read)
    _files: dict[str, _File] = field(default_factory=dict)

    def look(self) -> Run:
        """The run as it is now. Raises FileNotFoundError while the path does not exist."""
        if not self.root.exists():
            raise FileNotFoundError(f"{self.root}: no such file or folder")
        self.cost = Read()
        found = discover(self.root, points=self.points, look=self._look, read=self._read)
        return beside(build(str(self.root), found, self.config), self.root)

    def _look(self, path: Path, relative: str) -> tuple[Source, Reader | None]:
        signature = _signature(path)
        known = self._files.get(relative)
        if known is not None and known.signature == signature:
            return known.source, known.reader
        source, reader = look_at(path, relative)
        fresh = _File(signature, source, reader)
        if known is not None and known.state is not None and _grown(known, fresh):
            fresh.state, fresh.offset, fresh.proof = known.state, known.offset, known.proof
        self._files[relative] = fresh
        return source, reader

    def _read(self, source: Source, reader: Reader) -> list[Log]:
        file = self._files[source.relative]
        if file.logs is None:
            file.logs = self._go_on(file, reader) or self._from_start(file, reader)
        return file.logs

    def _from_start(self, file: _File, reader: Reader) -> list[Log]:
        self.cost.whole += 1
        self.cost.bytes += file.source.size
        # A small file is soon read, and what it is may still change; a reader may also look at the head only once.
        if reader.resume is not None and len(file.source.head) >= HEAD:
            sink = Sink(file.source.relative, reader.name, points=self.points)
            try:
                file.state, file.offset, file.proof = reader.resume(file.source, sink), 0, b""
                if file.state is not None:
                    return self._advance(file)
            except Exception:  # the ordinary way tells what is wrong with the file, and keeps what came before
                file.state = None
        return read_one(file.source, reader, points=self.points)

    def _go_on(self, file: _File, reader: Reader) -> list[Log] | None:  # noqa: ARG002
        """The logs after reading what was appended; None where that can't be done."""
        if file.state is None:
            return None
        before = file.offset
        try:
            logs = self._advance(file)
        except Exception:  # the file is not what it was: read it from its start
            file.state = None
            return None
        self.cost.resumed += 1
        self.cost.bytes += file.source.size - before
        return logs

    def _advance(self, file: _File) -> list[Log]:
        """Feed the state up to the size that was seen, and finish a copy of it."""
        assert file.state is not None
        rest = b""
        with file.source.open() as stream:
            stream.seek(max(0, file.offset - len(file.proof)))
            if stream.read(len(file.proof)) != file.proof:
                raise ValueError("the file was written anew")
            left = file.source.size - file.offset
            while left > 0 and (data := stream.read(min(BLOCK, left))):
                left -= len(data)
                data = rest + data
                used = file.state.feed(data)
                file.offset += used
                file.proof = (file.proof + data[max(0, used - PROOF) : used])[-PROOF:]
                rest = data[used:]
        now = copy.deepcopy(file.state)
        now.finish(rest)
        return [numbered(log) for log in now.sink.close(modified=file.source.modified, size=file.source.size)]


def _signature(path: Path) -> Signature:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev


def _grown(old: _File, new: _File) -> bool:
    """Whether a file is the old one with something appended, as far as size, identity and head tell."""
    return (
        old.reader is not None
        and new.reader is old.reader
        and new.signature[0] >= old.offset
        and new.signature[2:] == old.signature[2:]
        and new.source.head == old.source.head
        and new.source.encoding == old.source.encoding
    )
