"""Prose in tables: records of JSON lines, CSV and JSON are the items that splits share."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import runvet
from runvet.artifacts.model import Contents
from runvet.artifacts.texts import records_of

Record = dict[str, Any]
WORDS = "river stone winter letter garden window market summer bridge silver engine doctor island mirror candle".split()


def _review(i: int) -> Record:
    rng = np.random.default_rng(i)
    return {"id": i, "text": " ".join(rng.choice(WORDS, 14)), "label": int(rng.integers(2))}


def _chat(i: int) -> Record:
    said = _review(i)["text"]
    turns = [{"role": "user", "content": f"Please say more about the {said}?"}, {"role": "assistant", "content": said}]
    return {"messages": turns, "uuid": f"{i:08x}"}


def _exam(i: int) -> Record:
    return {"question": f"What is {_review(i)['text']}?", "choices": ["one of these", "none"], "answer": i % 2}


def _shorts(i: int) -> Record:
    """Commands of a few templates: the same ones come again by nature."""
    rng = np.random.default_rng(i)
    place, thing = rng.choice(["kitchen", "hall"]), rng.choice(["lamp", "heater", "radio"])
    return {"text": f"please turn on the {thing} that stands in the {place}, would you", "intent": "on"}


def _write(path: Path, records: Sequence[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_bytes(b"".join(orjson.dumps(r) + b"\n" for r in records))
    elif path.suffix == ".json":
        path.write_bytes(orjson.dumps(list(records)))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)


def _found(folder: Path, names: tuple[str, str], train: Sequence[Record], held: Sequence[Record]) -> set[str]:
    for name, records in zip(names, (train, held), strict=True):
        _write(folder / name, records)
    log = [orjson.dumps({"epoch": e, "train_loss": 1 / (e + 1), "val_loss": 1 / (e + 1) + 0.1}) for e in range(20)]
    (folder / "log.jsonl").write_bytes(b"\n".join(log))
    return {f.rule for f in runvet.check(folder).findings if f.rule.startswith("DATA")}


FILES = [("data/train.jsonl", "data/test.jsonl"), ("data/train.csv", "data/val.csv"), ("dataset/train/a.json", "dataset/dev/a.json")]  # fmt: skip


@pytest.mark.parametrize(("names", "record"), [*((n, r) for n in FILES for r in (_review, _exam)), (FILES[0], _chat)])
def test_records_of_both_splits(tmp_path: Path, names: tuple[str, str], record: Callable[[int], Record]) -> None:
    train, held = [record(i) for i in range(300)], [record(i) for i in range(250, 330)]
    assert _found(tmp_path, names, train, held) == {"DATA104"}


@pytest.mark.parametrize("names", FILES)
@pytest.mark.parametrize("record", [_review, _exam])
def test_splits_apart(tmp_path: Path, names: tuple[str, str], record: Callable[[int], Record]) -> None:
    assert _found(tmp_path, names, [record(i) for i in range(300)], [record(i) for i in range(300, 380)]) == set()


def test_templates_repeat_themselves_on_both_sides(tmp_path: Path) -> None:
    """Every held-out command stands in training, where nearly every one of them stands many times, too."""
    names = FILES[0]
    found = _found(tmp_path, names, [_shorts(i) for i in range(300)], [_shorts(i) for i in range(300, 380)])
    assert "DATA104" not in found


def test_file_names_are_no_prose(tmp_path: Path) -> None:
    """Lists of pictures are numbered from zero in each split."""
    rows = [{"file": f"images/{i:05d}.png", "label": i % 3} for i in range(100)]
    assert _found(tmp_path, FILES[0], rows, rows[:40]) == set()
    assert records_of(Contents({}, plain=rows)) == []


def test_what_only_numbers_a_record_is_no_content() -> None:
    text = "a sentence of some length that is the same in both of them"
    rows = [{"row": 3, "text": text, "label": 0, "split": "a"}, {"row": 4, "text": text, "label": 1, "split": "b"}]
    assert len(set(records_of(Contents({}, plain=rows)))) == 1
    columns = {"text": [text, text], "line": ["1", "2"]}
    assert len(set(records_of(Contents({}, plain=columns)))) == 1


@pytest.mark.parametrize(
    "plain",
    [{"seed": 1, "note": 2}, {"a": ["x"], "b": 3}, {"a": ["x"], "b": ["y", "z"]}, {"a": []}, [], [1, 2], [{}], [{"a": None}], "x", None],
)  # fmt: skip
def test_other_values_are_no_records(plain: Any) -> None:
    assert records_of(Contents({}, plain=plain)) == []


def test_deep_records_end() -> None:
    deep: Any = "a sentence that stands far below everything else in here"
    for _ in range(200):
        deep = [deep]
    assert records_of(Contents({}, plain=[{"text": deep}] * 3)) == []
