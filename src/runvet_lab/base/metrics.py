"""Metrics of a run, written as the usual tools write them: JSON lines always, CSV and TensorBoard when asked."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from runvet_lab.base.extra import need

NAME = "metrics.jsonl"


class MetricLog:
    """Appends rows of metrics below a run folder; a resumed run goes on in the same files.

    `formats` holds `jsonl` (always written), `csv` (long form: step, name, value) and `tensorboard`.
    """

    def __init__(self, folder: Path, *, formats: tuple[str, ...] = ("jsonl",), name: str = NAME) -> None:
        unknown = set(formats) - {"jsonl", "csv", "tensorboard"}
        if unknown:
            raise ValueError(f"unknown log formats {sorted(unknown)}; known are jsonl, csv, tensorboard")
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / name).open("a", encoding="utf-8")
        self._table = (folder / Path(name).with_suffix(".csv")).open("a", newline="") if "csv" in formats else None
        if self._table is not None and self._table.tell() == 0:
            csv.writer(self._table).writerow(["step", "time", "name", "value"])
        self._board: Any = None
        if "tensorboard" in formats:
            self._board = need("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, values: Mapping[str, float], **words: str | int) -> None:
        """One row: numbers by metric name, and `words` such as `epoch=3`. Non-finite numbers are kept as words."""
        now = time.time()
        row = {"step": step, "time": round(now, 3), **words, **{name: _plain(value) for name, value in values.items()}}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._table is not None:
            csv.writer(self._table).writerows([step, round(now, 3), name, value] for name, value in values.items())
            self._table.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._table is not None:
            self._table.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> MetricLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain(value: float) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return float(f"{number:.7g}")
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
