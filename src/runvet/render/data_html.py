"""Profiles of data as one HTML file that works offline; the page, its styles and its safety are those of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import runvet
from runvet.artifacts.profile import Profile
from runvet.render import data as text
from runvet.render.html import STYLES, page
from runvet.report import Figure, plain

SCRIPTS = ("dom.js", "icons.js", "charts.js", "voxels.js", "figures.js", "data.js")


def render(
    path: str,
    profiles: Sequence[Profile],
    against: str | None = None,
    other: Sequence[Profile] = (),
    *,
    figures: Sequence[Sequence[Figure]] = (),
    beside: Sequence[Figure] = (),
) -> str:
    """One page for all sets of a path. `figures` are those of each set, `beside` those that compare two."""
    data = {
        "runvet": runvet.__version__,
        **text.as_dict(path, profiles, against, other),
        "figures": [[asdict(f) for f in of] for of in figures],
        "beside": [asdict(f) for f in beside],
    }
    return page(
        f"{path} · runvet data", plain(data), text.as_text(path, profiles, against, other),
        styles=(*STYLES, "data.css"), scripts=SCRIPTS,
    )  # fmt: skip
