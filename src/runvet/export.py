"""Every point that was read, in long form: one row a point, as the run named it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import IO

import numpy as np
import orjson

from runvet.run import Run, Series

FIELDS = ("run", "stage", "segment", "name", "step", "epoch", "time", "value", "source")
CHUNK = 20_000


def write(run: Run, stream: IO[bytes], form: str) -> None:
    """Write all points of a run as `jsonl` or `csv` (UTF-8). Raises ValueError for another form."""
    if form not in ("jsonl", "csv"):
        raise ValueError(f"unknown form {form!r}: jsonl or csv")
    if form == "csv":
        stream.write((",".join(FIELDS) + "\n").encode())
    for stage in run.stages:
        for log in stage.logs:
            for series in log.series:
                for rows in _chunks(run.path, stage.name, log.source, series):
                    stream.write(_jsonl(rows) if form == "jsonl" else _csv(rows))


def _number(value: float) -> float | int | str | None:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _value(value: float) -> float | str:
    """Non-finite values are kept: as strings, which JSON and CSV can both hold."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _chunks(run: str, stage: str, source: str, series: Series) -> Iterator[list[tuple[object, ...]]]:
    for start in range(0, len(series), CHUNK):
        part = slice(start, start + CHUNK)
        columns = [
            np.asarray(c[part]).tolist() for c in (series.segment, series.step, series.epoch, series.time, series.value)
        ]
        yield [
            (run, stage, segment, series.name, _number(step), _number(epoch), _number(time), _value(value), source)
            for segment, step, epoch, time, value in zip(*columns, strict=True)
        ]


def _jsonl(rows: list[tuple[object, ...]]) -> bytes:
    return b"".join(orjson.dumps(dict(zip(FIELDS, row, strict=True))) + b"\n" for row in rows)


def _csv(rows: list[tuple[object, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["" if v is None else v for v in row] for row in rows])
    return out.getvalue().encode()
