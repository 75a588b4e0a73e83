"""Comparisons of runs as one HTML file that works offline; the page, its styles and its safety are those of the report."""

from __future__ import annotations

from collections.abc import Sequence

import runvet
from runvet.comparison import Comparison, SeedEffect, to_dict
from runvet.render import compare_text
from runvet.render.html import STYLES, page
from runvet.render.terminal import Terminal

SCRIPTS = ("dom.js", "icons.js", "lanes.js", "plot.js", "tags.js", "overlay.js", "differences.js", "compare.js")


def render(comparisons: Sequence[Comparison], seeds: Sequence[SeedEffect] = ()) -> str:
    """One page for all comparisons; with several, a table to choose from comes first.

    Curves are drawn where they were kept (`compare(..., draw=...)`).
    """
    others = comparisons[0].other if len(comparisons) == 1 else f"{len(comparisons)} runs"
    title = f"{comparisons[0].base} and {others} compared · runvet" if comparisons else "nothing compared · runvet"
    data = {"runvet": runvet.__version__, "caution": compare_text.caution(seeds), **to_dict(comparisons, seeds)}
    plain = compare_text.render(comparisons, Terminal(width=80), seeds=seeds)
    return page(title, data, plain, styles=(*STYLES, "compare.css"), scripts=SCRIPTS)
