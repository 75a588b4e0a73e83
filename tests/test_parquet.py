"""`runvet export --format parquet`, read back by pyarrow."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from runvet import export, read
from runvet.config import Config
from test_cli import runvet

EXAMPLES = Path(__file__).parent.parent / "examples" / "runs"


def test_same_rows_as_json_lines(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    import orjson

    target = tmp_path / "run.parquet"
    assert runvet("export", EXAMPLES / "healthy", "--format", "parquet", "--output", target) == (0, "", "")
    rows = pq.read_table(target).to_pylist()
    lines = [orjson.loads(line) for line in runvet("export", EXAMPLES / "healthy")[1].splitlines()]
    assert rows == lines
    assert list(rows[0]) == list(export.FIELDS)


def test_non_finite_values_and_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(export, "GROUP", 1000)
    values = ["nan" if i == 3 else "inf" if i == 4 else f"{i / 7}" for i in range(2500)]
    (tmp_path / "metrics.csv").write_text(
        "step,loss\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)), encoding="utf-8"
    )
    stream = io.BytesIO()
    export.write(read(tmp_path, Config()), stream, "parquet")
    file = pq.ParquetFile(stream)
    assert file.num_row_groups > 1
    table = file.read()
    column = table.column("value")
    assert column.null_count == 0
    told = np.array(column.to_pylist())
    assert math.isnan(told[3])
    assert told[4] == math.inf
    assert table.column("time").null_count == len(told)


def test_without_pyarrow_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'runvet\[parquet\]'"):
        export.write(read(EXAMPLES / "healthy", Config()), io.BytesIO(), "parquet")
