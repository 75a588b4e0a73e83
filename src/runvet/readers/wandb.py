"""Weights & Biases offline files (`run-<id>.wandb`): history, configuration, system metrics, exit status.

The framing is LevelDB's log (see `_leveldb_log.py`), each record a protobuf message that is walked by hand. Values
are JSON texts; they are collected as they stand and parsed together, thousands at a time. Items with nested keys are
joined with a dot. `_step`, `_timestamp` and `_runtime` are axes; media and histograms (JSON objects) are passed over.

A killed run lacks up to one block of its last rows, so the last step of the file is not the last step of the run.
Without an exit record there is no event `finished`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import orjson

from runvet.protobuf import BYTES, VARINT, Field, Malformed, fields, signed, text, timestamp
from runvet.readers import Reader
from runvet.readers._flatten import settings
from runvet.readers._leveldb_growing import Growing
from runvet.readers._leveldb_log import BLOCK, batches, header
from runvet.readers._wandb_rows import NUMERIC, Chunk, Form, Loose, Mask, Rows, Writer, number_in
from runvet.sink import Sink
from runvet.source import Source

MAGIC = header(b":W&B", 0xBEE1)
TOGETHER = 1 << 21  # bytes of records that are read together
FORMS = 8  # kinds of rows that are read together
SEEN = 1_000  # kinds of rows that are remembered until they come again
_HISTORY = 2
_PLAIN = re.compile(rb"[-+.0-9eE]+|NaN|-?Infinity")
_AXES = ("_step", "_timestamp", "_runtime")
_RUN_SETTINGS = {
    1: "wandb.run_id",
    3: "wandb.project",
    6: "wandb.group",
    7: "wandb.job_type",
    8: "wandb.run_name",
    13: "wandb.host",
}


def claims(source: Source) -> float:
    """Certain by the file's header; by its name alone where it is damaged or empty."""
    return 1.0 if source.head.startswith(MAGIC) else 0.9 if source.suffix == ".wandb" else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every whole record. `line` of a point is the number of its history row."""
    if not source.head:
        sink.problem("the file is empty: the run had not written its first block")
        return
    if not source.head.startswith(MAGIC):
        sink.problem("not a W&B file: its header is damaged", offset=0)
        return
    run = _Run(sink)
    with source.open() as stream:
        for batch in batches(stream, sink):
            run.take_all(batch)
    run.flush()


def resume(source: Source, sink: Sink) -> Growing | None:
    """A reading that goes on as the file grows."""
    return Growing(sink, _Run(sink)) if source.head.startswith(MAGIC) and not source.packed else None


reader = Reader("wandb", claims, read, resume=resume)


class _Run:
    """Reads records into a sink, history rows by the thousand."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.keys: dict[bytes, int] = {}  # an item's key bytes -> index into the writer's names
        self.indices = {name: i for i, name in enumerate(_AXES)}
        self.writer = Writer(sink, list(_AXES))
        self.pending: list[bytes] = []  # records that are read together …
        self.size = 0  # … and their bytes, roughly
        self.records = self.rows = self.stats = 0
        self.forms: list[Form] = []  # the kinds of rows, newest first
        self.seen: set[tuple[bytes, ...]] = set()  # keys of rows that have come once
        self.others: dict[int, Callable[[bytes, Field], None]] = {
            5: self._config, 7: self._stats, 17: self._run, 18: self._exit,
        }  # fmt: skip

    def take_all(self, records: list[bytes]) -> None:
        """Take the records of one block."""
        if not records:
            return
        self.pending += records
        self.size += BLOCK + len(records[0])  # only the first one can be longer than a block
        if self.size > TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Read the records that have been taken and hand their rows over."""
        if not self.pending:
            return
        records, self.pending, self.size = self.pending, [], 0
        chunk = Chunk(records)
        done = np.zeros(len(records), np.bool_)
        found: list[Rows | Loose] = []
        for form in self.forms:
            self._fit(form, chunk, done, found)
        loose, learned = Loose(), 0
        for at in np.union1d(chunk.others, chunk.rows[~done[chunk.rows]]).tolist():
            if done[at]:
                continue
            form_of_row = self._take(records[at], at, loose)
            if form_of_row is not None and learned < FORMS:
                learned += 1
                self.forms = [form_of_row, *self.forms][:FORMS]
                self._fit(form_of_row, chunk, done, found, at + 1)
        if loose.end():
            found.append(loose)
            done[loose.rows] = True
        number = np.cumsum(done) + self.rows
        for part in found:
            part.rows = number[part.rows]
        self.writer.write(found)
        self.rows, self.records = int(number[-1]), self.records + len(records)

    def _fit(self, form: Form, chunk: Chunk, done: Mask, found: list[Rows | Loose], begin: int = 0) -> None:
        """Take the rows of one form, from the record `begin` on."""
        left = chunk.rows[~done[chunk.rows] & (chunk.rows >= begin)]
        rows, values = form.match(chunk, left)
        if len(rows):
            done[rows] = True
            found.append(Rows(rows, form.which, values))

    def _take(self, record: bytes, at: int, loose: Loose) -> Form | None:
        """Take one record by its fields, or say that it is none; gives the form of a row if others have had it."""
        try:
            for field in fields(record):
                if field.number in (1, 16, 19, 200):
                    continue  # number, control, uuid, info: the content is in the one other field
                if field.wire == BYTES and field.number == _HISTORY:
                    return self._history(record, field, at, loose)
                if field.wire == BYTES and field.number in self.others:
                    self.others[field.number](record, field)
                return None
        except Malformed as error:
            number = self.records + at + 1
            self.sink.problem(f"record {number} is not a W&B record ({error}); skipped", line=number)
        return None

    def _history(self, data: bytes, row: Field, at: int, loose: Loose) -> Form | None:
        """One row of items, each a key (or nested keys) and a JSON text."""
        step, plain = math.nan, True
        keys: list[bytes] = []
        values: list[bytes] = []
        for field in fields(data, row.start, row.end):
            if field.number == 1 and field.wire == BYTES:
                key, value = _split(data, field)
                plain = plain and _PLAIN.fullmatch(value) is not None
                if value[:1] in NUMERIC:
                    keys.append(key)
                    values.append(value)
            elif field.number == 2 and field.wire == BYTES:
                step = float(next((signed(f.value) for f in fields(data, field.start, field.end) if f.number == 1), 0))
        which = [self._key(key) if (index := self.keys.get(key)) is None else index for key in keys]
        loose.add(at, which, values, step)
        if not plain or 0 not in which or not Form.can(keys, which):
            return None
        if tuple(keys) in self.seen:
            return Form(keys, which)
        if len(self.seen) < SEEN:
            self.seen.add(tuple(keys))
        return None

    def _key(self, key: bytes) -> int:
        """The index of a key seen for the first time, by the bytes of its field(s)."""
        name = ".".join(text(key, f) for f in fields(key) if f.number in (1, 2) and f.wire == BYTES)
        if name not in self.indices:
            self.indices[name] = len(self.writer.names)
            self.writer.names.append(name)
        self.keys[key] = self.indices[name]
        return self.keys[key]

    def _run(self, data: bytes, record: Field) -> None:
        """The run itself: names, configuration, whether it goes on from an older one."""
        name, resumed, first_step, started = "", False, 0, math.nan
        for field in fields(data, record.start, record.end):
            if field.wire == BYTES and field.number in _RUN_SETTINGS:
                self.sink.setting(_RUN_SETTINGS[field.number], text(data, field))
                name = text(data, field) if field.number == 8 else name
            elif field.wire == BYTES and field.number == 4:
                self._config(data, field)
            elif field.wire == BYTES and field.number == 17:
                started = timestamp(data, field)
            elif field.wire == VARINT and field.number == 14:
                first_step = signed(field.value)
            elif field.wire == VARINT and field.number == 18:
                resumed = bool(field.value)
        if not math.isnan(started):
            self.sink.setting("wandb.started", started)
        self.sink.event("start", f"W&B run {name}".rstrip())
        if resumed:
            self.sink.event("resume", f"W&B run resumed at step {first_step}", step=first_step, value=float(first_step))

    def _config(self, data: bytes, record: Field) -> None:
        for item in fields(data, record.start, record.end):
            if item.number == 1 and item.wire == BYTES:
                key, value = _pair(data, item)
                if key.split(".")[0] == "_wandb":
                    continue
                try:
                    settings(self.sink, key, orjson.loads(value))
                except orjson.JSONDecodeError:  # NaN, Infinity
                    self.sink.setting(key, value.decode("utf-8", "replace")[:1000])

    def _stats(self, data: bytes, record: Field) -> None:
        """Measurements of the machine: series `system/…` over time."""
        self.stats += 1
        time, values = None, {}
        for field in fields(data, record.start, record.end):
            if field.number == 2 and field.wire == BYTES:
                time = timestamp(data, field)
            elif field.number == 3 and field.wire == BYTES:
                key, value = _pair(data, field)
                number = number_in(value)
                if key and number is not None:
                    values["system/" + key.removeprefix("system.")] = number
        self.sink.row(values, time=time, line=self.stats)

    def _exit(self, data: bytes, record: Field) -> None:
        code = next((signed(f.value) for f in fields(data, record.start, record.end) if f.number == 1), 0)
        if code:
            self.sink.event("error", f"W&B: the process ended with exit code {code}", value=float(code))
        else:
            self.sink.event("finished", "W&B: the process ended with exit code 0", value=0.0)


def _split(data: bytes, item: Field) -> tuple[bytes, bytes]:
    """The bytes of an item's key field(s), and its JSON text."""
    key, value, at = b"", b"", item.start
    for field in fields(data, item.start, item.end):
        if field.number in (1, 2):
            key += data[at : field.end]
        elif field.number == 16 and field.wire == BYTES:
            value = data[field.start : field.end]
        at = field.end
    return key, value


def _pair(data: bytes, item: Field) -> tuple[str, bytes]:
    """The key, nested keys joined with a dot, and the JSON text of an item."""
    names, value = [], b"null"
    for field in fields(data, item.start, item.end):
        if field.wire == BYTES and field.number in (1, 2):
            names.append(text(data, field))
        elif field.wire == BYTES and field.number == 16:
            value = data[field.start : field.end]
    return ".".join(names), value
