"""MLflow's file store: `metrics/<name>` files of lines `milliseconds value step`; a name may go through folders."""

from __future__ import annotations

import re
from pathlib import PurePath

import numpy as np

from runvet.readers import Reader
from runvet.readers._lines import head_lines, utf8_blocks
from runvet.sink import Sink
from runvet.source import Source

_LINE = re.compile(r"\d{9,14} \S+(?: -?\d+)?")


def claims(source: Source) -> float:
    """Sure below a folder `metrics` where every first line has a time, a value and a step."""
    if _name(source) is None:
        return 0.0
    lines = [line for line in head_lines(source, 8_192) if line.strip()]
    return 0.97 if lines and all(_LINE.fullmatch(line.strip()) for line in lines) else 0.0


def _name(source: Source) -> str | None:
    """The metric's name: the path below the run's folder `metrics` (the one beside meta.yaml, else the last)."""
    parts = PurePath(source.path).parts
    places = [i for i, part in enumerate(parts[:-1]) if part == "metrics"]
    for i in places:
        if (source.path.parents[len(parts) - 1 - i] / "meta.yaml").exists():
            return "/".join(parts[i + 1 :])
    return "/".join(parts[places[-1] + 1 :]) if places else None


def read(source: Source, sink: Sink) -> None:
    """Read the one metric of the file; time becomes seconds."""
    name, line = _name(source) or source.name, 0
    for data in utf8_blocks(source, sink):
        values: list[float] = []
        steps: list[float] = []
        times: list[float] = []
        lines: list[int] = []
        for text in data.splitlines():
            line += 1
            parts = text.split()
            try:
                time, value = float(parts[0]), float(parts[1])
                step = float(parts[2]) if len(parts) > 2 else np.nan
            except (ValueError, IndexError):
                if parts:
                    sink.problem("a line is not `milliseconds value step`; it is passed over", line=line)
                continue
            if len(parts) == 2 and not data.endswith(b"\n"):
                sink.problem("the last line is only half written; it is left out", line=line)
                continue
            values.append(value)
            steps.append(step)
            times.append(time / 1_000)
            lines.append(line)
        if values:
            sink.columns(name, values, step=steps, time=times, line=lines)


reader = Reader("mlflow_files", claims, read)
