"""Colours of ids: after their names where these are known, else spread over the colour circle."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from typing import Any

MOST = 250  # ids that get a place of their own
GOLDEN = 0.61803398875  # of the circle: neighbours in the order differ most
# What the words of names look like. The last word that fits decides: `oak_leaves` is green, not brown.
WORDS: Mapping[str, str] = {
    "oak": "#9c7f4e", "wood": "#8a6b3d", "log": "#6f5534", "planks": "#b08d57", "plank": "#b08d57", "spruce": "#6b4f2f", "birch": "#d2c592",
    "stone": "#8b8b8b", "cobblestone": "#7a7a7a", "andesite": "#8f9090", "granite": "#9c6c58", "gravel": "#857f7c", "brick": "#97594a", "bricks": "#97594a",
    "dirt": "#86603f", "grass": "#6aa343", "leaves": "#3f7a31", "leaf": "#3f7a31", "moss": "#5d7a3a", "vine": "#3f7a31",
    "sand": "#dbcf9e", "sandstone": "#d8ca94", "water": "#3f66d6", "ice": "#9cc3f2", "lava": "#e0641d", "snow": "#f2f5f5", "glass": "#b5d9e6",
    "road": "#555a60", "car": "#c8453b", "tree": "#3f7a31", "building": "#a58d7f", "sky": "#8db7e8",
    "white": "#e9ecec", "black": "#25252a", "red": "#b3312c", "blue": "#3c44aa", "green": "#5e7c16", "yellow": "#f0c32e", "gray": "#7d7d78", "grey": "#7d7d78",
}  # fmt: skip


def entry(value: int, name: str, place: int) -> dict[str, Any]:
    """An id as the page shows it: `{"id": …, "name": …, "colour": "#rrggbb"}`; `place` is its rank by frequency."""
    short = name.rpartition(":")[2][:60]
    told = [w for w in re.findall(r"[a-z]+", short.lower()) if w in WORDS]
    return {"id": value, "name": short, "colour": WORDS[told[-1]] if told else spread(place)}


def spread(place: int) -> str:
    """A colour of its own for each place: the circle in steps of the golden ratio, brightness in three turns."""
    r, g, b = colorsys.hls_to_rgb((0.58 + place * GOLDEN) % 1.0, (0.55, 0.42, 0.66)[place % 3], 0.5)
    return f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}"
