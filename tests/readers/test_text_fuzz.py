"""The text reader never crashes and always ends, whatever it is given."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from text_logs import read_text

QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PIECES = st.sampled_from(
    [
        "epoch",
        "step",
        "loss",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "|",
        "/",
        ":",
        "=",
        ",",
        "'",
        '"',
        "-",
        ">",
        "->",
        "→",
        "nan",
        "inf",
        "-1e999",
        "1e-5",
        "0.5",
        "12",
        "3/10",
        "50%",
        "00:01:02",
        "2024-01-02",
        "10:11:12,123",
        "INFO",
        "WARNING:",
        "[rank1]",
        "Traceback|(most|recent|call|last):",
        "File",
        "Error:",
        "Namespace(",
        "GT:",
        "[1.5,2.5]",
        "val",
        "Test:",
        "it/s]",
        "10%|##|1/10[00:01<00:02,",
        "\r",
        "\n",
        "\t",
        "\x08\x08\x08\x08\x08",
        "\x1b[31m",
        "第3轮",
        "损失",
        "tensor(",
        ")",
        "|",
        "a",
        "|",
        "1.5",
        "|",
        "*",
        "mAP@.5",
        "e+",
        "±",
    ]
)


@fuzz(max_examples=150, deadline=2_000, suppress_health_check=QUIET)
@given(data=st.binary(max_size=3_000))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    read_text(tmp_path, data + b"\nstep 1 loss 0.5\n")


@fuzz(max_examples=300, deadline=2_000, suppress_health_check=QUIET)
@given(
    pieces=st.lists(PIECES | st.text(max_size=8) | st.floats().map(str), max_size=120),
    glue=st.sampled_from(["", " ", "  "]),
)
def test_any_pieces_of_logs(tmp_path: Path, pieces: list[str], glue: str) -> None:
    log = read_text(
        tmp_path,
        glue.join(p.replace("|", " ") if p.startswith("Trace") else p for p in pieces).encode("utf-8", "replace"),
    )
    assert all(len(s.name) < 400 for s in log.series)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "1 ",
        "a: ",
        "[",
        "(1",
        "1/",
        "1:",
        ", ",
        "| ",
        "-",
        "=",
        "%|",
        "\b",
        "1.",
        "e",
        "'",
        "key: 1 ",
        "\x1b[",
        "it [",
        "[1, ",
        "\u7b2c",
        " - ",
        "a=",
        "00:",
        "(a",
        "Error ",
    ],
)
def test_long_lines_of_one_piece_end_soon(tmp_path: Path, piece: str) -> None:
    begun = time.perf_counter()
    for start in ("", "Epoch 3 ", "Traceback (most recent call last):\n", "Namespace(", "2024-01-01 10:00:00 "):
        read_text(tmp_path, start + piece * (60_000 // len(piece)) + "\nstep 1 loss 0.5\n")
    assert time.perf_counter() - begun < 20
