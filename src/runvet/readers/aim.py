"""Aim repositories (`.aim`): what still stands in the write-ahead logs of their RocksDB databases.

Aim keeps one database a run for its sequences (`seqs/chunks/<run>`) and one for its attributes (`meta/chunks/<run>`).
Their keys are paths: words, or `0xFE` and a big-endian integer, each closed by `0xFE`. A point is four cells of one
index: val, step, epoch, time. RocksDB moves a log to a table file (`.sst`) when it holds some tens of megabytes or the
database is opened for writing again; tables are not read here, and that is said with the way to export them.
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

from runvet.readers import Reader
from runvet.readers._rocksdb import log_contents
from runvet.sink import Sink
from runvet.source import Source

EXPORT = (
    "export it with Aim itself: `for runs in aim.Repo(PATH).query_metrics('True').iter_runs(): "
    "runs.dataframe().to_csv(...)`, or the CSV export of its Metrics Explorer"
)
_LOG = re.compile(r"\d{6,}\.log")
_CELL = re.compile(
    rb"seqs\xfe(?:v\d+\xfe)?chunks\xfe[^\xfe]+\xfe\xfe(.{8})\xfe([^\xfe]+)\xfe(val|step|epoch|time)\xfe\xfe(.{8})\xfe",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"meta\xfechunks\xfe[^\xfe]+\xfeattrs\xfe(.+)\xfe", re.DOTALL)
_CONTEXT = re.compile(rb"meta\xfechunks\xfe[^\xfe]+\xfecontexts\xfe\xfe(.{8})\xfe([^\xfe]+)\xfe", re.DOTALL)
_SIMPLE = {0: "", 1: "<?", 2: "<q", 3: "<d"}
_SYSTEM = "__system__"


def claims(source: Source) -> float:
    """Certain for everything inside a folder `.aim`: nothing in it is another tool's log."""
    return 1.0 if ".aim" in source.path.parts[:-1] else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read the log of one run's sequences or attributes; name table files; pass over what holds no data."""
    kind = _kind(source.path)
    if source.suffix == ".sst" and kind:
        sink.problem(
            "the older part of this Aim run is in a RocksDB table, which is not read",
            remedy=EXPORT,
        )
    elif _LOG.fullmatch(source.name) and kind == "seqs":
        with source.open() as stream:
            _sequences(log_contents(stream, sink), _contexts(source.path), sink)
    elif _LOG.fullmatch(source.name) and kind == "meta":
        with source.open() as stream:
            _attributes(log_contents(stream, sink), sink)


reader = Reader("aim", claims, read)


def _kind(path: Path) -> str:
    """`seqs` or `meta` for files of one run's database, '' for all else."""
    parts = path.parts
    return parts[-4] if len(parts) > 4 and parts[-3] == "chunks" and parts[-4] in ("seqs", "meta") else ""


def _sequences(contents: dict[bytes, bytes], contexts: dict[bytes, str], sink: Sink) -> None:
    """The points of every sequence of numbers, in the order in which their values were written."""
    points: dict[tuple[bytes, bytes], dict[bytes, dict[bytes, float]]] = {}
    for key, value in contents.items():
        match = _CELL.fullmatch(key)
        if match is not None:
            context, name, field, index = match.groups()
            number = _decode(value)
            if isinstance(number, (int, float)):
                points.setdefault((context, name), {}).setdefault(index, {})[field] = float(number)
    unknown = {context for context, _ in points if context not in contexts}
    for (context, name), sequence in points.items():
        rows = [cells for cells in sequence.values() if b"val" in cells]
        label = contexts.get(context, "" if len(unknown) < 2 else f"context {sorted(unknown).index(context) + 1}")
        column = {field: [row.get(field, math.nan) for row in rows] for field in (b"val", b"step", b"epoch", b"time")}
        sink.columns(
            _name(name.decode("utf-8", "replace"), label), column[b"val"],
            step=column[b"step"], epoch=column[b"epoch"], time=column[b"time"],
        )  # fmt: skip


def _name(name: str, context: str) -> str:
    if name.startswith(_SYSTEM):
        return "system/" + name.removeprefix(_SYSTEM)
    return f"{context}/{name}" if context else name


def _contexts(path: Path) -> dict[bytes, str]:
    """What each context of a run says (`train` for {"subset": "train"}), from the run's attributes beside it."""
    said: dict[bytes, list[str]] = {}
    folder = path.parents[3] / "meta" / "chunks" / path.parent.name
    for log in sorted(folder.glob("*.log")) if folder.is_dir() else ():
        try:
            with log.open("rb") as stream:
                contents = log_contents(stream, Sink(log.name))
        except OSError:
            continue
        for key, value in contents.items():
            match = _CONTEXT.fullmatch(key)
            if match is not None:
                said.setdefault(match[1], []).append(str(_decode(value)))
    return {context: "/".join(words) for context, words in said.items()}


def _attributes(contents: dict[bytes, bytes], sink: Sink) -> None:
    for key, value in contents.items():
        match = _ATTRIBUTE.fullmatch(key)
        decoded = _decode(value)
        if match is not None and decoded is not None:
            name = re.sub(rb"\xfe\xfe?", b".", re.sub(rb"\xfe.{8}\xfe", _index, match[1] + b"\xfe")).strip(b".")
            if not name.startswith(b"__"):  # Aim's own: packages, environment variables
                sink.setting(name.decode("utf-8", "replace"), decoded)


def _index(match: re.Match[bytes]) -> bytes:
    return b"%d\xfe" % int.from_bytes(match[0][1:9], "big", signed=True)


def _decode(value: bytes) -> str | int | float | bool | None:
    """A primitive: its type in the first byte, little-endian content. None for containers and blobs, too."""
    kind = value[0] if value else 0
    if kind == 4:
        return value[1:].decode("utf-8", "replace")
    form = _SIMPLE.get(kind, "")
    if not form or len(value) - 1 != struct.calcsize(form):
        return None
    decoded: int | float | bool = struct.unpack_from(form, value, 1)[0]
    return decoded
