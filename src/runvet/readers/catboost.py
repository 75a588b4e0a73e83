"""CatBoost's `catboost_info`: learn_error.tsv, test_error.tsv, time_left.tsv and catboost_training.json."""

from __future__ import annotations

import re
from typing import Any

from runvet.readers import Reader
from runvet.readers._json import RowBuffer, emit_settings, parse
from runvet.readers._json_array import whole_text
from runvet.readers._lines import head_lines, head_text
from runvet.readers._tables import Writer
from runvet.readers.delimited import read_as
from runvet.sink import Sink
from runvet.source import Source

_ERROR = re.compile(r"(\w+?)_error\.tsv")


def claims(source: Source) -> float:
    """Sure by the name of the file and a table by `iter`, or by the parts of catboost_training.json."""
    if source.name == "catboost_training.json" or (source.suffix == ".json" and "catboost" in str(source.path)):
        text = head_text(source, 20_000)
        return 0.98 if '"meta"' in text and '"learn_sets"' in text else 0.0
    if _ERROR.fullmatch(source.name) or source.name == "time_left.tsv":
        lines = head_lines(source, 4_096)
        return 0.97 if lines and lines[0].startswith("iter\t") else 0.0
    return 0.0


def read(source: Source, sink: Sink) -> None:
    """Read the errors as `learn/Logloss`, `test/AUC`, …; the clock of catboost_training.json is the time."""
    match = _ERROR.fullmatch(source.name)
    if match:
        read_as(source, sink, lambda name: f"{match[1]}/{name}")
    elif source.suffix == ".json":
        _training(source, sink)
    else:
        read_as(source, sink, lambda name: f"time_left/{name}")


def _training(source: Source, sink: Sink) -> None:
    value, why = parse(whole_text(source, sink, 64 << 20))
    if why:
        sink.problem(why)
    meta = value.get("meta") if isinstance(value, dict) else None
    iterations = value.get("iterations") if isinstance(value, dict) else None
    if not isinstance(meta, dict) or not isinstance(iterations, list):
        sink.problem("no meta or no iterations in this file of CatBoost")
        return
    emit_settings(sink, {k: v for k, v in meta.items() if not isinstance(v, list)})
    names = {s: _metrics(meta, kind) for kind in ("learn", "test") for s in _words(meta.get(f"{kind}_sets"))}
    rows = RowBuffer(Writer(sink), sink)
    for number, item in enumerate(iterations, 1):
        if isinstance(item, dict):
            rows.add(_row(item, names), number)
    rows.flush()


def _row(item: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    """One iteration with its lists of errors spread over their names."""
    row = {k: v for k, v in item.items() if not isinstance(v, list)}
    for dataset, metrics in names.items():
        values = item.get(dataset)
        if isinstance(values, list):
            row.update({f"{dataset}/{m}": v for m, v in zip(metrics, values, strict=False)})
    return row


def _metrics(meta: dict[str, Any], kind: str) -> list[str]:
    found = meta.get(f"{kind}_metrics")
    return (
        [str(m.get("name", i)) for i, m in enumerate(found) if isinstance(m, dict)] if isinstance(found, list) else []
    )


def _words(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


reader = Reader("catboost", claims, read)
