"""TensorBoard event files (`events.out.tfevents.*`): scalars of torch, tensorboardX, Lightning, TensorFlow, Keras.

Nothing is decoded one by one where it can be helped: records of one length are laid under each other as a matrix of
bytes, the first one is parsed, and all others with the same layout give their columns at once. Text, images, audio
and histograms are passed over. Checksums of all records are checked; a damaged payload is skipped and named.

A restart may carry a SessionLog START: TensorBoard then forgets points at or after its step that were written
before. Within one file those points are dropped here. For older files of the same folder the reader can only say so:
it emits `event("start", "purge_step=N", step=N, value="purge")`, and whoever joins the files drops older points with
step >= N.
"""

from __future__ import annotations

import io
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from runvet.protobuf import Malformed, signed, varint
from runvet.readers import Reader
from runvet.readers._crc32c import ByteArray, crc32c_rows, unmask
from runvet.readers._tensorboard_event import SESSION_START, Layout, parse
from runvet.readers._tfrecord import HEAD, TAIL, Frames, frames, is_frame
from runvet.run import FloatArray, IntArray
from runvet.sink import Sink
from runvet.source import Source

FEW = 6  # records of one length: fewer are quicker to decode one by one
NAMED = 5  # damaged records named one by one; further ones are counted
_START = re.compile(rb"\x3a[\x02-\x7f]\x08\x01", re.DOTALL)  # a session_log field that begins with status START

Chunk = tuple[IntArray, FloatArray, IntArray, FloatArray]  # record, wall time, step, value: each (n,)


def claims(source: Source) -> float:
    """Certain by a right checksum before an event; by the name alone for empty and damaged files."""
    named = "tfevents" in source.name and not source.name.endswith((".json", ".txt", ".csv"))
    if is_frame(source.head):
        return 1.0 if named or source.head[HEAD : HEAD + 1] == b"\x09" else 0.0
    return 0.9 if named else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every scalar. `line` of a point is its record's number, `time` the wall time (unix seconds)."""
    if not source.head:
        sink.problem("the file is empty: no record was ever written")
        return
    if not is_frame(source.head) and len(source.head) >= HEAD:
        sink.problem("not a TensorBoard event file: no record at its start", offset=0)
        return
    decoder = _Decoder(sink, _purges(source))
    with source.open() as stream:
        for block in frames(stream, sink):
            decoder.block(block)
    decoder.finish()


class Purged(ValueError):
    """A restart in the new part takes back points of the old one: the file must be read from its start."""


class _Growing:
    """An event file that is read as it grows."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self.sink, self.source = sink, source
        # A restart stands at the start of its own file; to look for one elsewhere would be to read the file twice.
        self.decoder = _Decoder(sink, _purges(source) if _START.search(source.head) else [])
        self.first, self.offset, self.damaged = 1, 0, False

    def feed(self, data: bytes) -> int:
        """Read the whole records; gives their bytes. Raises Purged."""
        if _START.search(data):
            blocks = frames(io.BytesIO(data), Sink(self.source.relative), first=self.first, offset=self.offset)
            if not set(self.decoder.purges).issuperset(_restarts(blocks)):
                raise Purged("a restart purges earlier points")
        before, used = self.sink.told, 0
        for block in frames(io.BytesIO(data), self.sink, first=self.first, offset=self.offset):
            used = block.offset - self.offset + int(block.at[-1] + block.length[-1]) + HEAD + TAIL
            self.first = block.first + len(block.at)
            lengths = self.sink.told
            self.decoder.block(block)
            before += self.sink.told - lengths  # a damaged payload is skipped, reading goes on behind it
        self.damaged = self.damaged or self.sink.told > before
        used = len(data) if self.damaged else used
        self.offset += used
        return used

    def finish(self, rest: bytes) -> None:  # noqa: ARG002  (half a record is how a growing file ends)
        """Say what was only counted."""
        self.decoder.finish()


def resume(source: Source, sink: Sink) -> _Growing | None:
    """A reading that goes on as the file grows."""
    return _Growing(source, sink) if is_frame(source.head) and not source.packed else None


reader = Reader("tensorboard", claims, read, resume=resume)


def _purges(source: Source) -> list[tuple[int, int]]:
    """(record, step) of every SessionLog START. Files without one, nearly all, cost a search for its four bytes."""
    found, tail = False, b""
    try:
        with source.open() as stream:
            while not found and (piece := stream.read(1 << 20)):
                found = _START.search(tail + piece) is not None
                tail = piece[-4:]
    except (EOFError, OSError, ValueError):
        pass  # damaged packing is named when the records are read
    if not found:
        return []
    with source.open() as stream:
        return list(_restarts(frames(stream, Sink(source.relative))))


def _restarts(blocks: Iterable[Frames]) -> Iterator[tuple[int, int]]:
    """(record, step) of every SessionLog START in blocks of records."""
    for block in blocks:
        hits = {int(np.searchsorted(block.at, m.start(), "right")) - 1 for m in _START.finditer(block.buffer)}
        for index in sorted(hits):
            payload = block.payload(index)
            try:
                layout = parse(payload)
            except Malformed:
                continue
            if layout.session == SESSION_START:
                yield block.first + index, _step(payload, layout)


def _step(payload: bytes, layout: Layout) -> int:
    return signed(varint(payload, layout.step.start, layout.step.stop)[0]) if layout.step.stop else 0


class _Decoder:
    """Turns blocks of records into columns by tag, in file order."""

    def __init__(self, sink: Sink, purges: list[tuple[int, int]]) -> None:
        self.sink, self.purges = sink, purges
        self.pending: dict[bytes, list[Chunk]] = defaultdict(list)
        self.tensors: set[bytes] = set()  # tags that came as tensors: whether they are scalars depends on the plugin
        self.plugins: dict[str, str] = {}  # TensorBoard writes it with a tag's first value only
        self.bad = 0
        self.points = False

    def block(self, block: Frames) -> None:
        """Decode whole records and hand their points to the sink."""
        lengths = block.length.astype(np.uint16) if block.length.max() < 65_536 else block.length  # radix sort
        order = np.argsort(lengths, kind="stable")
        cuts = np.flatnonzero(np.diff(block.length[order])) + 1
        view = np.frombuffer(block.buffer, np.uint8)
        for group in np.split(order, cuts):
            size = int(block.length[group[0]])
            rows = np.lib.stride_tricks.sliding_window_view(view, size + HEAD + TAIL)[block.at[group]]
            stored = np.ascontiguousarray(rows[:, -TAIL:]).view("<u4")[:, 0]
            good = crc32c_rows(rows[:, HEAD:-TAIL]) == unmask(stored)
            if not good.all():
                for index in group[~good]:
                    self._damaged(block, int(index), "payload does not match its checksum")
                rows, group = rows[good], group[good]
            self._group(block, rows[:, HEAD:-TAIL], group + block.first)
        self._flush()

    def finish(self) -> None:
        """Say what was only counted."""
        for record, step in self.purges:
            self.sink.event("start", f"purge_step={step}", line=record, step=step, value="purge")
        if self.bad > NAMED:
            self.sink.problem(f"{self.bad - NAMED} further damaged records skipped")

    def _damaged(self, block: Frames, index: int, why: str) -> None:
        self.bad += 1
        if self.bad <= NAMED:
            record, offset = block.first + index, block.offset + int(block.at[index])
            self.sink.problem(f"record {record}: {why}; skipped", line=record, offset=offset)

    def _group(self, block: Frames, rows: ByteArray, records: IntArray) -> None:
        """Decode records of one length: `rows` (n, length) of bytes, `records` (n,) their numbers."""
        at = lonely = 0
        while at < len(rows):
            data = rows[at].tobytes()
            try:
                layout = parse(data)
            except Malformed as error:
                self._damaged(block, int(records[at]) - block.first, f"not an event ({error})")
                at += 1
                continue
            self.plugins.update(layout.plugins)
            if len(rows) - at < FEW or lonely == FEW or not layout.scalars or any(not s.dtype for s in layout.scalars):
                self._single(data, layout, int(records[at]))
                at += 1
                continue
            rows, records, at = rows[at:], records[at:], 0
            same = _same(rows, data, layout)
            if same.all():
                return self._columns(rows, records, layout)
            self._columns(rows[same], records[same], layout)
            lonely = 0 if np.count_nonzero(same) >= FEW else lonely + 1
            rows, records = rows[~same], records[~same]
        return None

    def _single(self, data: bytes, layout: Layout, record: int) -> None:
        """Decode one event."""
        if not layout.scalars:
            return
        wall = struct.unpack_from("<d", data, layout.wall_time)[0] if layout.wall_time else np.nan
        for scalar in layout.scalars:
            value = np.frombuffer(data, scalar.dtype, 1, scalar.at)[0] if scalar.dtype else scalar.constant
            columns = np.array([record]), np.array([wall]), np.array([_step(data, layout)]), np.array([float(value)])
            self._add(data[scalar.tag], columns, scalar.tensor)

    def _columns(self, rows: ByteArray, records: IntArray, layout: Layout) -> None:
        """Decode events of one layout at once; only their tags may still differ."""
        wall = np.full(len(rows), np.nan)
        if layout.wall_time:
            wall = np.ascontiguousarray(rows[:, layout.wall_time : layout.wall_time + 8]).view("<f8")[:, 0]
        step = np.zeros(len(rows), np.uint64)
        for shift, at in enumerate(range(layout.step.start, layout.step.stop)):
            step |= (rows[:, at] & 0x7F).astype(np.uint64) << np.uint64(7 * shift)
        steps = step.view(np.int64)
        for scalar in layout.scalars:
            dtype = np.dtype(scalar.dtype)
            raw = np.ascontiguousarray(rows[:, scalar.at : scalar.at + dtype.itemsize])
            value = raw.view(dtype)[:, 0].astype(np.float64)
            tags = rows[:, scalar.tag]
            for part in _by_tag(tags):
                columns = records[part], wall[part], steps[part], value[part]
                at = 0 if isinstance(part, slice) else int(part[0])
                self._add(tags[at].tobytes(), columns, scalar.tensor)

    def _add(self, tag: bytes, chunk: Chunk, tensor: bool) -> None:
        self.pending[tag].append(chunk)
        if tensor:
            self.tensors.add(tag)

    def _flush(self) -> None:
        """Hand the points of one block over, each tag in the order of its records."""
        for tag, chunks in sorted(self.pending.items(), key=lambda item: min(int(c[0][0]) for c in item[1])):
            name = tag.decode("utf-8", "replace")
            if tag in self.tensors and self.plugins.get(name, "scalars") != "scalars":
                continue
            if len(chunks) > 1:
                record, wall, step, value = (np.concatenate(column) for column in zip(*chunks, strict=True))
                order = np.argsort(record, kind="stable")
                record, wall, step, value = record[order], wall[order], step[order], value[order]
            else:
                record, wall, step, value = chunks[0]
            if self.purges:
                keep = np.ones(len(record), np.bool_)
                for at, since in self.purges:
                    keep &= (record > at) | (step < since)
                record, wall, step, value = record[keep], wall[keep], step[keep], value[keep]
            self.sink.columns(name, value, step=step, time=wall, line=record)
        self.pending.clear()


def _same(rows: ByteArray, data: bytes, layout: Layout) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows (n, length) differ from `data`, the first, only in times, steps, tags and values; bool (n,)."""
    free = np.zeros(len(data), np.bool_)
    if layout.wall_time:
        free[layout.wall_time : layout.wall_time + 8] = True
    for scalar in layout.scalars:
        free[scalar.tag] = True
        free[scalar.at : scalar.at + np.dtype(scalar.dtype).itemsize] = True
    for part in (layout.step, *layout.free):
        free[part] = True
    same = np.ones(len(rows), np.bool_)
    fixed = np.flatnonzero(~free)
    if len(fixed) * 4 < len(rows):
        for at in fixed:
            same &= rows[:, at] == data[at]
    else:
        same &= (rows[:, fixed] == np.frombuffer(data, np.uint8)[fixed]).all(axis=1)
    for byte in range(layout.step.start, layout.step.stop):
        same &= (rows[:, byte] & 0x80) == (data[byte] & 0x80)
    return same


def _by_tag(tags: ByteArray) -> list[slice] | list[IntArray]:
    """The rows of each tag, in order, for tags of one length as bytes (n, length).

    Sorted by a 16-bit hash, which is quick; the cuts are then made where the bytes really change, so that a
    collision costs time only.
    """
    n, length = tags.shape
    if not length or (tags == tags[0]).all():
        return [slice(0, n)]
    padded = np.zeros((n, -(-length // 8) * 8), np.uint8)
    padded[:, :length] = tags
    words = padded.view(np.uint64)
    hashed = np.zeros(n, np.uint64)
    for column in words.T:
        hashed = (hashed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    order = np.argsort((hashed >> np.uint64(16)).astype(np.uint16), kind="stable")
    ordered = words[order]
    return np.split(order, np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1)
