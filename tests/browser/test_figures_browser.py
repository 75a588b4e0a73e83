"""Figures in a real browser: drawn, turned by mouse and key, deaf to what names and values say."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from runvet import api, examples
from runvet import examples_artifacts as artifacts
from runvet.cli.main import main
from runvet.render import html
from runvet.report import Figure, Report
from sample_reports import HOSTILE, everything, figures

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra dev brings playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"),
]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
KINDS = ("sheet", "grids", "histograms", "scatter", "paths", "ranges", "lines", "note")
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Open a page from its text; in the end no error was logged, no dialog opened and nothing fetched."""
    wrong: list[str] = []
    pages: list[Any] = []

    def open_page(text: str, width: int = 1280, height: int = 900, **options: Any) -> Any:
        file = tmp_path / f"page{len(pages)}.html"
        file.write_text(text, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on(
            "console",
            lambda m: (
                wrong.append(f"console: {m.text}")
                if m.type in ("error", "warning") and "willReadFrequently" not in m.text  # the tests' own reading
                else None
            ),
        )
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        local = (file.as_uri(), "data:")
        page.on("request", lambda r: None if r.url.startswith(local) else wrong.append(f"fetched: {r.url}"))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=10_000)
        page.wait_for_timeout(150)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []


@pytest.fixture(scope="module")
def floating() -> Report:
    files = artifacts.grids("samples/step_100", [artifacts.scattered(i, 60) for i in range(6)])
    files |= artifacts.grids("data", [artifacts.tree(i) for i in range(40)])
    return api.judge(examples.run(examples.stage(loss=examples.decay()), files=files), curves=True, figures=True)


def drawn(page: Any, selector: str = ".turn canvas") -> list[str]:
    urls: list[str] = page.evaluate("s => [...document.querySelectorAll(s)].map(c => c.toDataURL())", selector)
    return urls


def colours(page: Any) -> int:
    count: int = page.evaluate(
        "() => { const c = document.querySelector('.turn canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return new Set(new Uint32Array(d.buffer)).size }"
    )
    return count


def test_every_kind_stands_under_its_finding(opened: Opened) -> None:
    page = opened(html.render([replace(everything(), figures=figures())]))
    for kind in KINDS:
        look = page.locator(f"[data-rule=LOSS101] .look[data-kind={kind}]")
        assert look.count() == 1, kind
        assert look.first.bounding_box()["height"] > 15
    assert page.locator("[data-rule=LOSS103] .look").count() == 0
    assert page.locator(".look", has_text="could not be drawn").count() == 0
    assert page.evaluate("[...document.querySelectorAll('.sheet img')].every(i => i.complete && i.naturalWidth > 0)")
    frame = page.locator(".frame-mark").first.bounding_box()
    tile = page.locator(".tile img").first.bounding_box()
    assert abs(frame["height"] - tile["height"] / 2) < 2
    assert frame["y"] > tile["y"] + tile["height"] / 2 - 2


def test_grids_turn_together_by_mouse_and_key(opened: Opened, floating: Report) -> None:
    page = opened(html.render([floating]))
    turn = page.locator("[data-rule=GEN102] .turn").first
    turn.scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    assert colours(page) > 5
    before = drawn(page)
    assert len(set(before)) == len(before), "no two grids look the same"
    box = turn.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 70, steps=3)
    page.mouse.up()
    page.wait_for_timeout(100)
    turned = drawn(page)
    assert all(a != b for a, b in zip(before, turned, strict=True))
    for key in ("ArrowLeft", "+", "u"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
        now = drawn(page)
        assert all(a != b for a, b in zip(turned, now, strict=True)), key
        turned = now
    page.keyboard.press("0")
    page.wait_for_timeout(60)
    assert drawn(page) == before
    page.keyboard.press("c")
    page.wait_for_timeout(60)
    assert drawn(page) != before


def test_loose_parts_are_shown_for_a_finding_about_them(opened: Opened, floating: Report) -> None:
    page = opened(html.render([floating]))
    assert page.locator("[data-rule=GEN102] .tools [aria-pressed=true]").inner_text() == "loose parts"
    assert "largest part" in page.locator("[data-rule=GEN102] .legend").first.inner_text()


def test_nearer_blocks_hide_farther_ones(opened: Opened) -> None:
    """A red block before a blue one, seen from every side: the nearer colour fills the middle."""
    made = figures()[1]
    cells = bytes([0, 0, 0, 0, 63, 4, 0, 0, 1, 63])
    grid = {"name": "a", "label": "", "size": [5, 1, 1], "facts": "", "cells": base64.b64encode(cells).decode()}
    told = {"groups": [{"label": "a", "grids": [grid]}], "up": 1,
            "palette": [{"id": 1, "name": "", "colour": "#ff0000"}, {"id": 2, "name": "", "colour": "#0000ff"}]}  # fmt: skip
    page = opened(html.render([replace(everything(), figures=(replace(made, data=told),))]))
    page.locator(".turn").focus()
    for key in 12 * ["ArrowDown"] + 10 * ["ArrowUp"]:  # straight down as far as it goes, then level with the ground
        page.keyboard.press(key)
    seen = set()
    for _ in range(42):  # once around
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(25)
        r, _, b = page.evaluate(
            "() => { const c = document.querySelector('.turn canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            " const i = 4 * (Math.floor(c.height / 2) * c.width + Math.floor(c.width / 2)); return [d[i], d[i + 1], d[i + 2]] }"
        )
        seen.add("red" if r > b else "blue" if b > r else "none")
    assert {"red", "blue"} <= seen


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_and_values_are_shown_and_do_not_run(opened: Opened, word: str) -> None:
    report = replace(everything(), figures=figures(word))
    page = opened(html.render([report]))
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    page.wait_for_timeout(150)
    assert page.locator("#app script, #app svg[onload], #app iframe, #app a").count() == 0
    assert page.locator("#app img").count() == page.locator(".tile img").count() == 1
    assert page.evaluate(
        "[...document.querySelectorAll('#app *')].every(e => ![...e.attributes].some(a => a.name.startsWith('on')))"
    )
    assert page.locator(".look").count() == len(report.figures)


BROKEN = (
    None,
    "x",
    7,
    [1, "y"],
    {"a": None},
    [
        {
            "grids": 5,
            "items": "z",
            "shares": [None],
            "lines": {},
            "bars": 3,
            "png": '" onerror="alert(1)',
            "w": 1,
            "h": 1,
        }
    ],
)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_figures_leave_the_page_whole(opened: Opened, kind: str) -> None:
    fields = (
        "groups",
        "palette",
        "panels",
        "axes",
        "x",
        "y",
        "ranges",
        "items",
        "rows",
        "up",
        "facts",
        "low",
        "lines",
        "axis",
    )
    broken = tuple(
        Figure(kind, "dynamics", ("LOSS101",), "broken", "", dict.fromkeys(fields, value)) for value in BROKEN
    )
    page = opened(html.render([replace(everything(), figures=(*broken, *figures()))]))
    assert page.locator("[data-rule=LOSS101] .look").count() == len(BROKEN) + len(figures())
    assert page.locator(".actions li").count() == 1


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
@pytest.mark.parametrize("word", ["sample", HOSTILE[1] * 3, "a" * 300], ids=["usual", "hostile", "long"])
def test_no_width_scrolls_sideways(opened: Opened, word: str, width: int) -> None:
    page = opened(html.render([replace(everything(), figures=figures(word))]), width=width, height=812)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_of_two_findings_are_open_once_and_folded_after(opened: Opened) -> None:
    base = everything()
    second = replace(base.findings[2], stage="dynamics")
    report = replace(
        base,
        findings=(*base.findings[:2], second),
        figures=tuple(replace(f, rules=("LOSS101", "ENV101")) for f in figures()),
    )
    page = opened(html.render([report]))
    assert page.locator("[data-rule=ENV101] .look").count() == 0
    page.locator("[data-rule=ENV101] .again > summary").click()
    page.wait_for_timeout(100)
    assert page.locator("[data-rule=ENV101] .look").count() == len(report.figures)


def test_figures_under_no_finding_are_still_there_to_look_at(opened: Opened) -> None:
    page = opened(html.render([replace(everything(), figures=figures(code="GEN999"))]))
    assert page.locator(".gallery .look").count() == len(figures())
    assert page.locator(".card .look").count() == 0


def test_the_page_of_a_data_set(opened: Opened, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for i in range(12):
        (folder / "train").mkdir(parents=True, exist_ok=True)
        np.savez(folder / "train" / f"oak_tree_{i:02d}.npz", voxels=artifacts.tree(i % 9))
    made = tmp_path / "samples"
    made.mkdir()
    for i in range(4):
        np.savez(made / f"sample_{i}.npz", voxels=artifacts.scattered(i, 40))
    done = CliRunner().invoke(main, ["data", str(folder), "--against", str(made), "--format", "html"])
    assert done.exit_code == 0, done.output
    page = opened(done.stdout, width=375, height=812)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert "oak tree" in page.locator("body").inner_text()
    assert page.locator(".faults .numbers-table").first.inner_text().count("copies") == 1
    assert colours(page) > 5
    assert page.locator(".chart svg").count() >= 4
    page.locator("[data-tool=theme]").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_the_page_of_a_hostile_data_set(opened: Opened, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "<img src=x onerror=alert(1)>"
    folder.mkdir(parents=True)
    for i in range(4):
        np.savez(folder / f"<svg onload=alert({i})>.npz", voxels=artifacts.tree(i))
    (folder / "\"'><script>alert(2).npz").write_bytes(b"no zip")
    done = CliRunner().invoke(main, ["data", str(tmp_path / "data"), "--format", "html"])
    assert done.exit_code == 0, done.output
    page = opened(done.stdout)
    assert "<img src=x onerror=alert(1)>" in page.locator("body").inner_text()
    assert page.locator("#app img, #app script, #app svg[onload]").count() == 0
