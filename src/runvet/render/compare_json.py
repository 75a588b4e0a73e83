"""Comparisons of runs as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runvet.comparison import Comparison, SeedEffect, to_dict


def render(comparisons: Sequence[Comparison], seeds: Sequence[SeedEffect] = ()) -> str:
    """One object: an entry for each run that was compared with the base, and what repeated runs say together."""
    return orjson.dumps(to_dict(comparisons, seeds), option=orjson.OPT_INDENT_2).decode() + "\n"
