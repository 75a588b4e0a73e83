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

STYLES = ("vendor/uPlot.min.css", "style.css", "layout.css")
SCRIPTS = (
    "dom.js",
    "icons.js",
    "lanes.js",
    "plot.js",
    "tags.js",
    "panel.js",
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
    style, script, vendor = _styles(), _scripts(), _read(VENDOR)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(vendor)}' '{_hash(script)}'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(_title(reports)),
        "style": style,
        "vendor": vendor,
        "script": script,
        "licence": _read(LICENCE),
        "data": embed([to_dict(r) for r in reports]),
        "plain": html.escape("\n".join(text_renderer.render(r, Terminal(width=80)) for r in reports)),
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


def _styles() -> str:
    return "\n".join(_read(name) for name in STYLES)


def _scripts() -> str:
    body = "\n".join(_read(name) for name in SCRIPTS)
    return '"use strict";\n(() => {\n' + body + "\n})();"
