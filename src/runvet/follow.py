"""Reading a run again and again while it grows: only what is new is read.

A file of which size, time and identity stay the same is not opened again. One that has grown is read on from where
it ended, if its reader can (`Reader.resume`); everything else that changed is read from its start. What a file is may
still change while it is small: such a file is kept in memory whole, and judged anew with what was appended.
"""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from runvet.beside import beside
from runvet.config import Config
from runvet.discover import claim, discover, look_at, read_one
from runvet.readers import Reader
from runvet.readers._resume import Resumed
from runvet.run import Log, Run
from runvet.segments import numbered
from runvet.sink import POINTS, Sink
from runvet.source import BLOCK, HEAD, Source, Unpacking, encoding_of
from runvet.stages import build

PROOF = 256  # bytes at the start and before the end of what was read that must still be there
Signature = tuple[int, int, int, int]


@dataclass(slots=True)
class _Held(Source):
    """A small file that is known whole: its bytes are not read again."""

    def open(self) -> io.BufferedReader:
        return io.BufferedReader(Unpacking(io.BytesIO(self.head)), BLOCK)


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
        file = self._grown(known, path, signature) if known is not None else None
        if file is None:
            source, reader = look_at(path, relative)
            self.cost.bytes += len(source.head)
            file = _File(signature, _held(source, reader), reader)
        self._files[relative] = file
        return file.source, file.reader

    def _grown(self, known: _File, path: Path, signature: Signature) -> _File | None:
        """A known log with something appended, as far as size, identity and some of its bytes tell; else None."""
        old, size = known.source, signature[0]
        if known.reader is None or known.reader.resume is None or old.packed or signature[2:] != known.signature[2:]:
            return None
        if size < known.signature[0] or not old.head:
            return None
        head = old.head
        if len(head) < HEAD:
            begin = max(0, len(head) - PROOF)
            with path.open("rb", buffering=0) as stream:
                start = stream.read(min(PROOF, len(head)))
                stream.seek(begin)
                more = stream.read(HEAD - begin)
            self.cost.bytes += len(start) + len(more)
            if not head.startswith(start) or not more.startswith(head[begin:]):
                return None
            head += more[len(head) - begin :]
        size = max(size, len(head))  # it may have grown while it was looked at
        source = replace(_plain(old), size=size, modified=signature[1] / 1e9, head=head, encoding=encoding_of(head))
        reader = known.reader if head is old.head else claim(source)
        file = _File(signature, _held(source, reader), reader)
        if reader is known.reader and source.encoding == old.encoding:
            file.state, file.offset, file.proof = known.state, known.offset, known.proof
        return file

    def _read(self, source: Source, reader: Reader) -> list[Log]:
        file = self._files[source.relative]
        if file.logs is None:
            file.logs = self._go_on(file) or self._from_start(file, reader)
        return file.logs

    def _from_start(self, file: _File, reader: Reader) -> list[Log]:
        self.cost.whole += 1
        # A reader may look at the head only once: reading on begins when it is whole.
        if reader.resume is not None and len(file.source.head) >= HEAD:
            sink = Sink(file.source.relative, reader.name, points=self.points)
            try:
                file.state, file.offset, file.proof = reader.resume(file.source, sink), 0, b""
                if file.state is not None:
                    return self._advance(file)
            except Exception:  # the ordinary way tells what is wrong with the file, and keeps what came before
                file.state = None
        self.cost.bytes += 0 if isinstance(file.source, _Held) else file.source.size
        return read_one(file.source, reader, points=self.points)

    def _go_on(self, file: _File) -> list[Log] | None:
        """The logs after reading what was appended; None where that can't be done."""
        if file.state is None:
            return None
        try:
            logs = self._advance(file)
        except Exception:  # the file is not what it was: read it from its start
            file.state = None
            return None
        self.cost.resumed += 1
        return logs

    def _advance(self, file: _File) -> list[Log]:
        """Feed the state up to the size that was seen, and finish a copy of it."""
        assert file.state is not None
        rest = b""
        for data in self._pieces(file):
            data = rest + data
            used = file.state.feed(data)
            file.offset += used
            file.proof = (file.proof + data[max(0, used - PROOF) : used])[-PROOF:]
            rest = data[used:]
        now = copy.deepcopy(file.state)
        now.finish(rest)
        return [numbered(log) for log in now.sink.close(modified=file.source.modified, size=file.source.size)]

    def _pieces(self, file: _File) -> Iterator[bytes]:
        """The bytes from `offset` on: of the head those in memory, the others from the file.

        Raises ValueError where the bytes before `offset` are no longer those that were read.
        """
        at, head, size = file.offset, file.source.head, file.source.size
        if at < len(head):
            yield head[at:]
            at = len(head)
            proof = head[-PROOF:]
        else:
            proof = file.proof
        if at >= size:
            return
        with file.source.path.open("rb", buffering=0) as stream:
            stream.seek(at - len(proof))
            self.cost.bytes += len(proof)
            if stream.read(len(proof)) != proof:
                raise ValueError("the file was written anew")
            while at < size and (data := stream.read(min(BLOCK, size - at))):
                at += len(data)
                self.cost.bytes += len(data)
                yield data


def _signature(path: Path) -> Signature:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_dev


def _held(source: Source, reader: Reader | None) -> Source:
    """The same file, of which nothing is read again if it is a log and known whole."""
    whole = not source.packed and len(source.head) < HEAD and len(source.head) == source.size
    if reader is None or reader.resume is None or not whole:
        return source
    return _Held(**{f.name: getattr(source, f.name) for f in fields(source)})


def _plain(source: Source) -> Source:
    """The same file without what is special of a held one."""
    return Source(**{f.name: getattr(source, f.name) for f in fields(source)})
