"""Comparisons of runs as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runvet.compare import Comparison, to_dict


def render(comparisons: Sequence[Comparison]) -> str:
    """One object with a list, one entry for each run that was compared with the base."""
    return orjson.dumps(to_dict(comparisons), option=orjson.OPT_INDENT_2).decode() + "\n"
