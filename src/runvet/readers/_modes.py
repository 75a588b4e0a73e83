"""Rows that say what they belong to in words: `mode: val`, `phase`, `split`; and long tables of name and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runvet.readers._axes import axis_of, normal
from runvet.readers._tables import Block

_MODE = ("mode", "split", "phase", "stage", "set", "subset", "partition", "dataset_split", "data_split")
_NAME = ("name", "tag", "metric", "metric_name", "key", "variable", "series")
_TRAIN = ("train", "training", "tr", "")
_WORDS = {*_TRAIN, "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation", "holdout"}


def mode_columns(block: Block, texts: Mapping[str, Sequence[str | None]]) -> Block:
    """The block with its metrics kept apart by the words of its rows.

    Validation rows of a column `loss` become `val/loss`, those of training stay `loss`. A long table (`name`,
    `value`) gets one column for each name. `texts` are the columns of words, each of length block.rows.
    """
    by_name = next((c for n in _NAME for c in texts if normal(c) == n), None)
    value = next((c for c in block.columns if normal(c) in ("value", "metric_value")), None)
    if by_name is not None and value is not None:
        return _long(block, value, [str(word or "").strip() for word in texts[by_name]])
    for column, words in texts.items():
        lower = [str(word or "").strip().lower() for word in words]
        if normal(column) in _MODE and set(lower) <= _WORDS and len(set(lower) - set(_TRAIN)):
            return _by_mode(block, lower)
    return block


def _long(block: Block, value: str, words: list[str]) -> Block:
    values, rows = block.columns[value]
    places = np.arange(block.rows) if rows is None else rows
    columns = {c: data for c, data in block.columns.items() if axis_of(c) is not None}
    array = np.array(words, dtype=object)[places]
    for word in dict.fromkeys(words):
        mine = np.flatnonzero(array == word)
        if word and len(mine):
            columns[word] = (values[mine], places[mine])
    return Block(block.rows, block.lines, columns, block.other)


def _by_mode(block: Block, words: list[str]) -> Block:
    array = np.array(words, dtype=object)
    other = ~np.isin(array, np.array(_TRAIN, dtype=object))
    columns = {}
    for column, (values, rows) in block.columns.items():
        if axis_of(column) is not None and (axis_of(column) or ("",))[0] != "clock?":
            columns[column] = (values, rows)
            continue
        places = np.arange(block.rows) if rows is None else rows
        for word in dict.fromkeys(words):
            mine = np.flatnonzero(array[places] == word)
            if len(mine):
                columns[column if word in _TRAIN else f"{word}/{column}"] = (values[mine], places[mine])
    return Block(block.rows, block.lines, columns, other)
