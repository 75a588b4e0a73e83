"""SwanLab offline files (`run-<id>.swanlab`): scalars, configuration, how the run ended.

The framing is that of W&B's files (see `_leveldb_log.py`). A record is a protobuf message: 10 start, 11 finish,
12 column, 13 scalar, 14 media, 16 console line, 20 saved file. A scalar has 1 key, 2 step (0 is left out), 4 time,
5 value (a message with one double; empty means 0). Columns of the class "system" are measurements of the machine.
"""

from __future__ import annotations

from collections import defaultdict

import yaml

from runvet.protobuf import BYTES, FIXED64, Field, Malformed, double, fields, signed, text, timestamp
from runvet.readers import Reader
from runvet.readers._flatten import settings
from runvet.readers._leveldb_log import header, records
from runvet.sink import Sink
from runvet.source import Source

MAGIC = header(b":SWL", 0xE1D6)
VERSION = 2
POINTS = 100_000  # points collected before they are handed over
_SYSTEM, _CONFIG = 2, 1  # ColumnClass, SaveType
_STATES = {1: "finished", 2: "crashed", 3: "aborted"}
_NAMES = {1: "swanlab.project", 4: "swanlab.run_name", 7: "swanlab.group", 8: "swanlab.job_type", 10: "swanlab.run_id"}


def claims(source: Source) -> float:
    """Certain by the file's header; by its name alone where it is damaged or empty."""
    return 1.0 if source.head.startswith(MAGIC) else 0.9 if source.suffix == ".swanlab" else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every whole record. `line` of a point is the number of its record."""
    if not source.head:
        sink.problem("the file is empty: the run had not written its first record")
        return
    if not source.head.startswith(MAGIC):
        sink.problem("not a SwanLab file: its header is damaged", offset=0)
        return
    if source.head[6:7] != bytes([VERSION]):
        sink.problem(
            f"SwanLab format version {source.head[6:7].hex()}, version {VERSION:02x} is known: names may differ"
        )
    run = _Run(sink)
    with source.open() as stream:
        for number, record in enumerate(records(stream, sink), 1):
            run.take(record, number)
    run.flush()


reader = Reader("swanlab", claims, read)


class _Run:
    """Collects points by key."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.points: dict[str, list[tuple[float, float, float, int]]] = defaultdict(list)
        self.count = 0
        self.system: set[str] = set()

    def take(self, record: bytes, number: int) -> None:
        """Take one record, or say that it is none."""
        try:
            self._record(record, number)
        except Malformed as error:
            self.sink.problem(f"record {number} is not a SwanLab record ({error}); skipped", line=number)

    def _record(self, record: bytes, number: int) -> None:
        for field in fields(record):
            if field.wire != BYTES or field.number < 10:
                continue
            if field.number == 13:
                self._scalar(record, field, number)
            elif field.number == 12:
                self._column(record, field)
            elif field.number == 10:
                self._start(record, field, number)
            elif field.number == 11:
                self._finish(record, field, number)
            elif field.number == 20:
                self._save(record, field)

    def _scalar(self, data: bytes, record: Field, number: int) -> None:
        key, step, time, value = "", 0, float("nan"), None
        for field in fields(data, record.start, record.end):
            if field.number == 1 and field.wire == BYTES:
                key = text(data, field)
            elif field.number == 2:
                step = signed(field.value)
            elif field.number == 4 and field.wire == BYTES:
                time = timestamp(data, field)
            elif field.number == 5 and field.wire == BYTES:
                inner = (f for f in fields(data, field.start, field.end) if f.number == 1 and f.wire == FIXED64)
                value = next((double(data, f) for f in inner), 0.0)
        if key and value is not None:
            self.points[key].append((value, float(step), time, number))
            self.count += 1
            if self.count >= POINTS:
                self.flush()

    def flush(self) -> None:
        """Hand the collected points over."""
        for key, points in self.points.items():
            value, step, time, line = (list(column) for column in zip(*points, strict=True))
            name = f"system/{key.removeprefix('__swanlab__.')}" if key in self.system else key
            self.sink.columns(name, value, step=step, time=time, line=line)
        self.points.clear()
        self.count = 0

    def _column(self, data: bytes, record: Field) -> None:
        kind, key = 0, ""
        for field in fields(data, record.start, record.end):
            if field.number == 1:
                kind = field.value
            elif field.number == 3 and field.wire == BYTES:
                key = text(data, field)
        if kind == _SYSTEM:
            self.system.add(key)

    def _start(self, data: bytes, record: Field, number: int) -> None:
        name = ""
        for field in fields(data, record.start, record.end):
            if field.wire == BYTES and field.number in _NAMES:
                self.sink.setting(_NAMES[field.number], text(data, field))
                name = text(data, field) if field.number == 4 else name
            elif field.wire == BYTES and field.number == 12:
                self.sink.setting("swanlab.started", timestamp(data, field))
        self.sink.event("start", f"SwanLab run {name}".rstrip(), line=number)

    def _finish(self, data: bytes, record: Field, number: int) -> None:
        state, error = 0, ""
        for field in fields(data, record.start, record.end):
            if field.number == 1:
                state = field.value
            elif field.number == 2 and field.wire == BYTES:
                error = text(data, field)
        word = _STATES.get(state, f"state {state}")
        if word == "finished":
            self.sink.event("finished", "SwanLab: the run finished", line=number)
        else:
            self.sink.event("error", f"SwanLab: the run ended {word}. {error}", line=number, value=word)

    def _save(self, data: bytes, record: Field) -> None:
        """A configuration that was stored inside the file (normally it is `files/config.yaml` beside it)."""
        kind, payload = 0, b""
        for field in fields(data, record.start, record.end):
            if field.number == 5:
                kind = field.value
            elif field.number == 6 and field.wire == BYTES:
                payload = data[field.start : field.end]
        if kind != _CONFIG or not payload:
            return
        try:
            config = yaml.load(payload.decode("utf-8", "replace"), Loader=yaml.CSafeLoader)
        except (yaml.YAMLError, ValueError, RecursionError):
            self.sink.problem("the configuration stored in the file is not YAML")
            return
        for key, entry in config.items() if isinstance(config, dict) else ():
            settings(self.sink, str(key), entry.get("value") if isinstance(entry, dict) and "value" in entry else entry)
