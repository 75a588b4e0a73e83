"""Every point that was read, in long form: one row a point, as the run named it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import orjson

from runvet.report import number
from runvet.run import Run, Series

FIELDS = ("run", "stage", "segment", "name", "step", "epoch", "time", "value", "source")
CHUNK = 20_000
GROUP = 200_000  # rows of one row group of a Parquet file


def write(run: Run, stream: IO[bytes], form: str) -> None:
    """Write all points of a run as `jsonl`, `csv` (UTF-8) or `parquet`.

    Raises ValueError for another form, and ImportError, which names the extra, for `parquet` without pyarrow.
    """
    if form not in ("jsonl", "csv", "parquet"):
        raise ValueError(f"unknown form {form!r}: jsonl, csv or parquet")
    if form == "parquet":
        _parquet(run, stream)
        return
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
        told = [number(word) for word in (run, stage, series.name, source)]
        yield [
            (told[0], told[1], segment, told[2], _number(step), _number(epoch), _number(time), _value(value), told[3])
            for segment, step, epoch, time, value in zip(*columns, strict=True)
        ]


def _jsonl(rows: list[tuple[object, ...]]) -> bytes:
    return b"".join(orjson.dumps(dict(zip(FIELDS, row, strict=True))) + b"\n" for row in rows)


def _csv(rows: list[tuple[object, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["" if v is None else v for v in row] for row in rows])
    return out.getvalue().encode()


def _parquet(run: Run, stream: IO[bytes]) -> None:
    """One row group for about 200,000 rows; unknown coordinates are null, non-finite values are kept as they are."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Parquet needs the extra: pip install 'runvet[parquet]'") from None
    words = pa.dictionary(pa.int32(), pa.string())
    types = {"run": words, "stage": words, "segment": pa.int64(), "name": words, "source": words}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in FIELDS])
    waiting: list[Any] = []
    with pq.ParquetWriter(stream, schema) as writer:
        for stage in run.stages:
            for log in stage.logs:
                for series in log.series:
                    for start in range(0, len(series), GROUP):
                        waiting.append(
                            _batch(pa, schema, (run.path, stage.name, log.source), series, slice(start, start + GROUP))
                        )
                        if sum(len(b) for b in waiting) >= GROUP:
                            _group(pa, writer, waiting)
        _group(pa, writer, waiting)


def _batch(pa: Any, schema: Any, names: tuple[str, str, str], series: Series, part: slice) -> Any:
    told = dict(zip(("run", "stage", "source", "name"), (*names, series.name), strict=True))
    size = len(series.value[part])
    columns = {"segment": pa.array(series.segment[part]), "value": pa.array(series.value[part], from_pandas=False)}
    for name, value in told.items():
        word = pa.array([number(value)], pa.string())
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), word)
    for name in ("step", "epoch", "time"):
        axis = getattr(series, name)[part]
        columns[name] = pa.array(axis, mask=np.isnan(axis))
    return pa.record_batch([columns[name] for name in FIELDS], schema=schema)


def _group(pa: Any, writer: Any, waiting: list[Any]) -> None:
    """Write what is waiting as one row group."""
    if waiting:
        writer.write_table(
            pa.Table.from_batches(waiting).unify_dictionaries().combine_chunks(), row_group_size=2 * GROUP
        )
        waiting.clear()
