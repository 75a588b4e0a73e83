"""Class labels and prompts of samples from the JSON files beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runvet.artifacts.grouping import Entry
from runvet.artifacts.model import Artifacts, Item, UnreadableError

KEYS = (
    "label",
    "class",
    "class_name",
    "category",
    "structure_name",
    "prompt",
    "caption",
    "text",
    "type",
    "name",
    "title",
)
TABLES = ("captions.json", "labels.json", "prompts.json", "classes.json", "metadata.json")
SIDECARS = ("data.json", "meta.json", "metadata.json", "info.json", "label.json", "prompt.json")
MOST = 1_000  # side-cars that are opened for one group


def labelled(artifacts: Artifacts, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries with the labels that side-cars give; those of the file names where there are none.

    Looks for `NAME.json` beside `NAME.npz`, for `data.json` or `meta.json` in the same folder, and for a table such
    as `captions.json` in the same folder or the one above.
    """
    known = artifacts.memo("json files", lambda: {i.name: i for i in artifacts.items if i.suffix == ".json"})
    if not known:
        return tuple(entries)
    opened = 0
    out = []
    for entry in entries:
        item = _sidecar(entry, known) if opened < MOST else None
        told = _label(artifacts, item, entry) if item is not None else ""
        opened += item is not None
        out.append(replace(entry, label=told) if told else entry)
    return tuple(out)


def _sidecar(entry: Entry, known: Mapping[str, Item]) -> Item | None:
    folder, _, file = entry.item.name.rpartition("/")
    above = folder.rpartition("/")[0]
    candidates = [f"{folder}/{file.rpartition('.')[0]}.json", *(f"{folder}/{n}" for n in SIDECARS)]
    candidates += [f"{place}/{n}" for place in (folder, above) for n in TABLES]
    return next((known[c.lstrip("/")] for c in candidates if c.lstrip("/") in known), None)


def _label(artifacts: Artifacts, item: Item, entry: Entry) -> str:
    try:
        plain = artifacts.read(item).plain
    except UnreadableError:
        return ""
    if not isinstance(plain, dict):
        return ""
    stem = entry.item.parts[-1].rpartition(".")[0]
    for key in (stem, entry.item.parts[-1], entry.item.name):
        if key in plain:
            return _text(plain[key])
    return next((t for k in KEYS if (t := _text(plain.get(k)))), "")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return next((t for k in KEYS if (t := _text(value.get(k)))), "")
    return (
        " ".join(str(value).lower().replace("_", " ").split())[:80]
        if isinstance(value, (str, int)) and not isinstance(value, bool)
        else ""
    )


PALETTES = frozenset("blocks block_ids block_map id_to_block block_mapping vocab materials".split())
LARGEST, MOST_NAMES = 1 << 20, 65_536  # bytes of a palette file, names in it


def named_ids(artifacts: Artifacts) -> dict[int, str]:
    """Names of ids from a small JSON file called `…palette…`, `block_ids`, …: {"1": "stone"}, {"stone": 1} or ["air", "stone"]."""
    for item in artifacts.items:
        stem = item.parts[-1].rpartition(".")[0].lower()
        if item.suffix != ".json" or not (stem in PALETTES or "palette" in stem) or item.size > LARGEST:
            continue
        try:
            found = _names(artifacts.read(item).plain)
        except UnreadableError:
            continue
        if found:
            return found
    return {}


def _names(plain: Any) -> dict[int, str]:
    """The names, in the value itself or one level below."""
    below = list(plain.values()) if isinstance(plain, dict) else []
    return next((found for value in (plain, *below) if (found := _palette(value))), {})


def _palette(plain: Any) -> dict[int, str]:
    if isinstance(plain, list) and all(isinstance(v, str) for v in plain):
        return dict(enumerate(plain[:MOST_NAMES]))
    if not isinstance(plain, dict):
        return {}
    pairs = list(plain.items())[:MOST_NAMES]
    forward = {int(k): v for k, v in pairs if re.fullmatch(r"-?[0-9]{1,9}", k) and isinstance(v, str)}
    if forward or not all(isinstance(v, int) and not isinstance(v, bool) for _, v in pairs):
        return forward
    return {v: k for k, v in pairs}
