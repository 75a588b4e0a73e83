"""The HTML report as a file: whole, small, and nothing from the run in it that is code."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from runvet import api, curves
from runvet.render import html
from runvet.run import Run, Series, Stage
from sample_reports import HOSTILE, everything, hostile


class Page(HTMLParser):
    """The elements and attributes of a page, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[tuple[str, dict[str, str | None], str]] = []
        self.inside: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1][0] in ("script", "style"):
            self.code.append((*self.inside[-1], data))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop()[0] != tag:
            pass


def scripts(text: str) -> list[str]:
    return [code for tag, attrs, code in Page(text).code if tag == "script" and "type" not in attrs]


def test_nothing_from_outside() -> None:
    text = html.render([everything()])
    for tag, attrs in Page(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "img")
        assert not attrs.get("src")
        assert (attrs.get("href") or "data:,") == "data:,"
    assert "@import" not in text
    assert "url(" not in "".join(code for tag, _, code in Page(text).code if tag == "style")


def test_policy_allows_exactly_the_scripts_and_styles_of_the_page() -> None:
    page = Page(html.render([hostile()]))
    policy = next(a["content"] or "" for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        allowed = set(re.findall(r"'(sha256-[^']+)'", re.search(f"{kind}-src ([^;]+)", policy)[1]))  # type: ignore[index]
        here = {
            "sha256-" + base64.b64encode(hashlib.sha256(c.encode()).digest()).decode()
            for t, a, c in page.code
            if t == kind and "type" not in a
        }
        assert here == allowed


def test_hostile_words_stay_data() -> None:
    text, plain = html.render([hostile()]), html.render([everything()])
    assert scripts(text) == scripts(plain), "the code does not depend on the run"
    assert [t for t, _ in Page(text).tags] == [t for t, _ in Page(plain).tags]
    data = next(code for tag, attrs, code in Page(text).code if attrs.get("id") == "data")
    assert not set("<>&\u2028\u2029") & set(data)
    assert json.loads(data)[0]["stages"][0]["name"] == HOSTILE[3]


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"]
)
def test_the_page_is_built_without_markup_from_strings(word: str) -> None:
    assert word not in "\n".join(html._read(name) for name in html.SCRIPTS)


def test_a_run_of_a_hundred_thousand_points_is_below_a_megabyte() -> None:
    rng = np.random.default_rng(1)
    n = 100_000
    none, zero, step = np.full(n, np.nan), np.zeros(n, np.int64), np.arange(n, dtype=float)
    made = []
    for i, role in enumerate(("train_loss", "val_loss", "lr", "grad_norm", None, None)):
        y = 3 + rng.standard_normal(n)
        made.append(
            Series(
                f"metric/{i}",
                y,
                step,
                none,
                none,
                zero,
                zero,
                zero,
                ("m.csv",),
                n,
                0,
                float(y.min()),
                float(y.max()),
                role=role,
                direction="down" if i == 0 else None,
            )
        )
    report = api.judge(Run("r", (Stage("r", "r", tuple(made)),)), curves=True)
    text = html.render([report])
    assert len(text.encode()) < 1_000_000
    for series, curve in zip(made, report.curves, strict=True):
        assert len(curve.x) <= curves.MOST
        assert max(v for v in curve.y if v is not None) == pytest.approx(series.maximum, rel=1e-6)
        assert min(v for v in curve.y if v is not None) == pytest.approx(series.minimum, rel=1e-6)


def test_without_script_the_text_report_stands() -> None:
    text = html.render([everything()])
    plain = text[text.index("<noscript>") : text.index("</noscript>")]
    assert "CRITICAL" in plain
    assert "LOSS101 rising-loss" in plain


def test_the_licence_of_the_library_travels_along() -> None:
    text = html.render([everything()])
    assert "Leon Sorokin" in text
    assert "Permission is hereby granted" in text
