"""The report as one HTML file: styles, scripts and data inlined, nothing fetched, nothing from the run executed.

All that comes from the run stands once as JSON in a script element that is data, not code; the page is built from it
with text nodes alone. A policy in the page allows only the scripts and styles that are written here, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import orjson

from runvet.render import text as text_renderer
from runvet.render.terminal import Terminal
from runvet.report import Report, to_dict

STYLES = ("vendor/uPlot.min.css", "style.css", "layout.css", "figures.css")
SCRIPTS = (
    "dom.js",
    "icons.js",
    "lanes.js",
    "plot.js",
    "tags.js",
    "panel.js",
    "charts.js",
    "voxels.js",
    "figures.js",
    "findings.js",
    "facts.js",
    "keys.js",
    "report.js",
)
VENDOR = "vendor/uPlot.min.js"
LICENCE = "vendor/uPlot.LICENSE"
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(reports: Sequence[Report]) -> str:
    """One page for all reports; with several, a table to choose from comes first."""
    plain = "\n".join(text_renderer.render(r, Terminal(width=80)) for r in reports)
    return page(_title(reports), [to_dict(r) for r in reports], plain)


def page(
    title: str, data: object, plain: str, *, styles: Sequence[str] = STYLES, scripts: Sequence[str] = SCRIPTS
) -> str:
    """A whole page of the files named, with `data` for its scripts and `plain` text where no script runs."""
    style, vendor = "\n".join(map(_read, styles)), _read(VENDOR)
    script = '"use strict";\n(() => {\n' + "\n".join(map(_read, scripts)) + "\n})();"
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(vendor)}' '{_hash(script)}'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(title),
        "style": style,
        "vendor": vendor,
        "script": script,
        "licence": _read(LICENCE),
        "data": embed(data),
        "plain": html.escape(plain),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], _read("page.html"))


def embed(data: object) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element or starts a comment."""
    return re.sub("[<>&\u2028\u2029]", lambda m: ESCAPES[m[0]], orjson.dumps(data).decode())


def _title(reports: Sequence[Report]) -> str:
    if len(reports) == 1:
        return f"{reports[0].verdict}: {reports[0].path} · runvet"
    return f"{len(reports)} runs · runvet"


def _hash(code: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


@lru_cache(maxsize=32)
def _read(name: str) -> str:
    folder, _, file = name.rpartition("/")
    place = resources.files(__package__)
    return (place / folder / file if folder else place / file).read_text(encoding="utf-8")
