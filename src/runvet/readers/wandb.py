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
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt
import orjson

from runvet.readers import Reader
from runvet.readers._flatten import settings
from runvet.readers._leveldb_log import batches, header
from runvet.readers._protobuf import BYTES, VARINT, Field, Malformed, fields, signed, text, timestamp
from runvet.run import FloatArray
from runvet.sink import Sink
from runvet.source import Source

MAGIC = header(b":W&B", 0xBEE1)
ITEMS = 100_000  # values parsed together
FORMS, FORM_ITEMS = 6, 200  # kinds of rows kept as patterns, and the most items of one
_HISTORY = 2
_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"  # a varint
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
_NUMERIC = frozenset(b"%c" % c for c in b"0123456789-NI")


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
        number = 1
        for batch in batches(stream, sink):
            run.take_all(batch, number)
            number += len(batch)
    run.flush()


reader = Reader("wandb", claims, read)


class _Form:
    """The keys of one kind of row, as a pattern over the bytes of a whole record: its groups are the JSON texts.

    A number's text holds no control characters and every key stands there with its length, so that a record that
    fits can't be read in another way.
    """

    def __init__(self, keys: list[bytes], which: list[int]) -> None:
        items = [rb"\x0a%b%b\x82\x01%b(%b)" % (_LENGTH, re.escape(key), _LENGTH, _PLAIN.pattern) for key in keys]
        step = rb"(?:\x12[\x00-\x0b](?:\x08%b)?)?" % _LENGTH
        self.regex = re.compile(rb"\x08%b\x12%b%b%b" % (_LENGTH, _LENGTH, b"".join(items), step), re.DOTALL)
        self.which = which


class _Run:
    """Collects history items as (key, JSON text) and hands them over as columns."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.keys: dict[bytes, int] = {}  # an item's key bytes -> index into `names`
        self.names: list[str] = list(_AXES)
        self.indices = {name: i for i, name in enumerate(_AXES)}
        self.which: list[int] = []  # for every item: index into `names`
        self.values: list[bytes] = []  # … and its JSON text
        self.ends: list[int] = []  # for every row: the number of items up to its end
        self.steps: list[float] = []  # for every row: the step in the record itself
        self.rows = 0
        self.only: _Form | None = None  # the one kind of row collected so far, if it is only one
        self.stats = 0
        self.forms: list[_Form] = []  # the kinds of rows seen last, newest first
        self.others: dict[int, Callable[[bytes, Field], None]] = {
            5: self._config, 7: self._stats, 17: self._run, 18: self._exit,
        }  # fmt: skip

    def take_all(self, records: list[bytes], number: int) -> None:
        """Take consecutive records from `number` on."""
        if not self.forms:
            for at, record in enumerate(records, number):
                self.take(record, at)
            return
        form = self.forms[0]
        alike: list[re.Match[bytes]] = []
        for at, match in enumerate(map(form.regex.fullmatch, records)):
            if match is not None:
                alike.append(match)
                continue
            self._rows_of(form, alike)
            alike = []
            self.take(records[at], number + at)
        self._rows_of(form, alike)

    def _rows_of(self, form: _Form, matches: list[re.Match[bytes]]) -> None:
        """Take rows that one pattern matched."""
        if not matches:
            return
        if not self.which and len(set(form.which)) == len(form.which):
            self.only = form
        elif self.only is not form:
            self.only = None
        count, items = len(matches), len(form.which)
        first = len(self.which) + items
        self.which += form.which * count
        self.values.extend(chain.from_iterable(map(re.Match.groups, matches)))
        self.ends.extend(range(first, first + items * count, items))
        self.steps.extend(repeat(math.nan, count))
        self.rows += count
        if len(self.which) > ITEMS:
            self.flush()

    def take(self, record: bytes, number: int) -> None:
        """Take one record, or say that it is none."""
        try:
            self._record(record)
        except Malformed as error:
            self.sink.problem(f"record {number} is not a W&B record ({error}); skipped", line=number)

    def _record(self, record: bytes) -> None:
        for form in self.forms:  # rows mostly look like the one before
            match = form.regex.fullmatch(record)
            if match:
                self.which += form.which
                self.values += match.groups()
                self._end_of_row(math.nan)
                if form is not self.forms[0]:
                    self.forms.remove(form)
                    self.forms.insert(0, form)
                return
        for field in fields(record):
            if field.number in (1, 16, 19, 200):
                continue  # number, control, uuid, info: the content is in the one other field
            if field.wire == BYTES and field.number == _HISTORY:
                self._history(record, field)
            elif field.wire == BYTES and field.number in self.others:
                self.others[field.number](record, field)
            return

    def _end_of_row(self, step: float) -> None:
        self.only = None
        self.rows += 1
        self.ends.append(len(self.which))
        self.steps.append(step)
        if len(self.which) > ITEMS:
            self.flush()

    def _history(self, data: bytes, row: Field) -> None:
        """One row of items, each a key (or nested keys) and a JSON text."""
        step, keys, plain, first = math.nan, [], True, len(self.which)
        for field in fields(data, row.start, row.end):
            if field.number == 1 and field.wire == BYTES:
                key, value = _split(data, field)
                plain = plain and _PLAIN.fullmatch(value) is not None
                if value[:1] in _NUMERIC:
                    index = self.keys.get(key)
                    self.which.append(self._key(key) if index is None else index)
                    self.values.append(value)
                    keys.append(key)
            elif field.number == 2 and field.wire == BYTES:
                step = float(next((signed(f.value) for f in fields(data, field.start, field.end) if f.number == 1), 0))
        which = self.which[first:]
        self._end_of_row(step)
        if plain and 0 in which and len(which) <= FORM_ITEMS:
            self.forms.insert(0, _Form(keys, which))
            del self.forms[FORMS:]

    def _key(self, key: bytes) -> int:
        """The index of a key seen for the first time, by the bytes of its field(s)."""
        name = ".".join(text(key, f) for f in fields(key) if f.number in (1, 2) and f.wire == BYTES)
        if name not in self.indices:
            self.indices[name] = len(self.names)
            self.names.append(name)
        self.keys[key] = self.indices[name]
        return self.keys[key]

    def flush(self) -> None:
        """Hand the collected rows over, one column for every key."""
        if not self.which:
            return
        if self.only is not None:
            self._flush_alike(self.only)
            return
        which, value, known = np.array(self.which, np.int64), *_numbers(self.values)
        row = np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=0))
        axes = np.full((len(_AXES), len(self.ends)), np.nan)
        for index, axis in enumerate(axes):
            mine = (which == index) & known
            axis[row[mine]] = value[mine]
        step = np.where(np.isnan(axes[0]), np.array(self.steps), axes[0])
        time = axes[1] if np.isfinite(axes[1]).any() else axes[2]
        first = self.rows - len(self.ends) + 1
        order = np.argsort(which, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
            index, part = int(which[part[0]]), part[known[part]]
            name, where = self.names[index], row[part]
            if len(part) and index >= len(_AXES) and not name.startswith("_wandb"):
                self.sink.columns(name, value[part], step=step[where], time=time[where], line=where + first)
        self.which, self.values, self.ends, self.steps = [], [], [], []

    def _flush_alike(self, form: _Form) -> None:
        """The same for rows of one kind, whose values are a matrix."""
        numbers, numeric = _numbers(self.values)
        value, known = numbers.reshape(len(self.ends), -1), numeric.reshape(len(self.ends), -1)
        axes = np.full((len(_AXES), len(self.ends)), np.nan)
        for at, index in enumerate(form.which):
            if index < len(_AXES):
                axes[index, known[:, at]] = value[known[:, at], at]
        step = np.where(np.isnan(axes[0]), np.array(self.steps), axes[0])
        time = axes[1] if np.isfinite(axes[1]).any() else axes[2]
        line = np.arange(self.rows - len(self.ends) + 1, self.rows + 1)
        for at, index in sorted(enumerate(form.which), key=lambda pair: pair[1]):
            name, mine = self.names[index], known[:, at]
            if index >= len(_AXES) and not name.startswith("_wandb") and mine.any():
                self.sink.columns(name, value[mine, at], step=step[mine], time=time[mine], line=line[mine])
        self.which, self.values, self.ends, self.steps, self.only = [], [], [], [], None

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
                number = _number(value)
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


def _numbers(texts: list[bytes]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """JSON texts as numbers, and which of them are numbers at all; both (n,)."""
    joined = b"[" + b",".join(texts) + b"]"
    # a string, an object, a list, null, true, false, NaN or Infinity anywhere: one by one
    if not any(mark in joined for mark in (b'"', b"{", b"n", b"t", b"f", b"N")) and joined.rfind(b"[") == 0:
        try:
            values = np.array(orjson.loads(joined), np.float64)
            if len(values) == len(texts):
                return values, np.ones(len(texts), np.bool_)
        except (orjson.JSONDecodeError, ValueError, OverflowError):
            pass
    found = [_number(text) for text in texts]
    known = np.array([value is not None for value in found], np.bool_)
    return np.array([math.nan if value is None else value for value in found], np.float64), known


def _number(text: bytes) -> float | None:
    """The number in a JSON text (also the bare NaN and Infinity of W&B), else None."""
    if text[:1] not in _NUMERIC:
        return None
    try:
        return float(text)
    except ValueError:
        return None
