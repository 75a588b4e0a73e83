"""A comparison in a real browser: curves over each other, in every size and light, deaf to what names say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plots import ink, picture
from runvet import api
from runvet.compare_overlay import Band, Line, Overlay
from runvet.compare_seeds import SeedEffect
from runvet.comparison import (
    Comparison,
    CurveDifference,
    FindingDifference,
    SettingDifference,
    SpeedDifference,
    compare,
)
from runvet.render import compare_html
from sample_reports import HOSTILE

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "runs"
Shown = Callable[..., Any]


@pytest.fixture(scope="module")
def diverging() -> Comparison:
    a, b = (api.read(EXAMPLES / name) for name in ("healthy", "diverging"))
    return compare(a, b, api.judge(a), api.judge(b), draw=20_000)


def hostile() -> tuple[Comparison, SeedEffect]:
    """A comparison in which every text is a trap."""
    bad = HOSTILE[0]
    steps = tuple(range(0, 400, 10))
    line = Line(
        steps, tuple(2.0 / (1 + s) for s in steps), 40, Band((0, 200, 390), (1, 0, 0), (2, 1, 1), (3, 2, 2), 13)
    )
    names = [HOSTILE[i % len(HOSTILE)] for i in range(12)]
    curves = tuple(
        CurveDifference(
            n,
            names[i - 1],
            None,
            "down",
            "better" if i % 2 else "worse",
            "step",
            200,
            390,
            1.0,
            0.5,
            -0.5,
            0.1,
            -0.5,
            8,
            1,
            0.5,
            20,
            None,
        )
        for i, n in enumerate(names)
    )
    one = Comparison(
        HOSTILE[1], HOSTILE[3], "critical", "sound",
        (SettingDifference(bad, HOSTILE[1], HOSTILE[4]), SettingDifference(HOSTILE[5], None, bad, "base"), SettingDifference(bad + "_dir", bad, HOSTILE[1], noise=True)),
        3, curves, (SpeedDifference(HOSTILE[3], 10.0, 5.0, HOSTILE[1], 0.5),),
        (FindingDifference("LOSS101", bad, "critical", HOSTILE[1], HOSTILE[3]),), (FindingDifference("LOSS102", bad, "warning", None, HOSTILE[4]),),
        (HOSTILE[1],), tuple(Overlay(c.name, c.stage, "step", line, line) for c in curves),
    )  # fmt: skip
    effect = SeedEffect(
        bad,
        HOSTILE[1],
        None,
        "down",
        "better",
        (bad, HOSTILE[1]),
        (HOSTILE[3],),
        (1.0, 1.1),
        (0.5,),
        "step",
        0,
        1,
        -0.5,
        0.1,
        0.01,
        1.0,
    )
    return one, effect


def test_settings_first_speed_last_and_curves_drawn(shown: Shown, diverging: Comparison) -> None:
    page = shown(compare_html.render([diverging]))
    titles = page.locator("main h2").all_inner_texts()
    assert [t.split()[0] for t in titles] == ["Settings", "Curves", "Findings", "Speed"]
    assert page.locator(".uplot canvas").count() == 2
    assert min(ink(page, 0), ink(page, 1)) > 20
    body = page.locator("body").inner_text()
    assert "lr_shape" in body
    assert "LOSS101" in body
    assert "That one configuration is better is not shown" in body
    assert page.locator(".metric summary").first.inner_text().startswith("val/loss")


def test_both_curves_and_their_bands_are_there(shown: Shown, diverging: Comparison) -> None:
    """Without one of the runs, or without the bands, the picture is another."""
    seen = {picture(shown(compare_html.render([variant]))) for variant in _variants(diverging)}
    assert len(seen) == 4


def _variants(whole: Comparison) -> list[Comparison]:
    none = Line((), (), 0, None)
    (train,) = (o for o in whole.overlays if o.name == "train/loss")
    (told,) = (c for c in whole.curves if c.name == "train/loss")
    plain = replace(train, base=replace(train.base, band=None), other=replace(train.other, band=None))
    return [
        replace(whole, curves=(told,), overlays=(o,))
        for o in (train, plain, replace(train, base=none), replace(train, other=none))
    ]


def test_drag_zooms_all_plots_and_reset_shows_everything(shown: Shown, diverging: Comparison) -> None:
    page = shown(compare_html.render([diverging]))
    before = picture(page)
    box = page.locator(".over").nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_function("!document.querySelector('[data-tool=reset]').disabled")
    page.wait_for_timeout(60)
    assert picture(page) != before, "the other plot follows"
    page.mouse.move(box["x"] + 5, box["y"] + 60)
    at = page.locator(".readout .at").nth(1).inner_text()
    assert 850 < float(at.split()[1].replace(",", "")) < 950
    page.keyboard.press("r")
    page.mouse.move(1, 1)
    page.wait_for_function("document.querySelector('[data-tool=reset]').disabled")
    page.wait_for_timeout(60)
    assert picture(page) == before


def test_logarithmic_axes_and_folded_metrics(shown: Shown, diverging: Comparison) -> None:
    page = shown(compare_html.render([diverging]))
    before = picture(page)
    page.keyboard.press("l")
    assert page.locator("[data-tool=logY]").get_attribute("aria-pressed") == "true"
    assert picture(page) != before
    page.locator(".metric summary").first.click()
    page.locator(".metric summary").first.click()
    page.wait_for_timeout(60)
    assert ink(page) > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(shown: Shown, diverging: Comparison, scheme: str) -> None:
    page = shown(compare_html.render([diverging]), color_scheme=scheme)
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (page.evaluate(shade) < 60) == (scheme == "dark")
    before = picture(page)
    for _ in range(2 if scheme == "light" else 1):
        page.keyboard.press("t")
    assert (page.evaluate(shade) < 60) != (scheme == "dark")
    assert picture(page) != before


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_no_width_scrolls_sideways(shown: Shown, diverging: Comparison, width: int) -> None:
    one, effect = hostile()
    for page in (
        shown(compare_html.render([diverging]), width=width),
        shown(compare_html.render([one, one], [effect]), width=width),
    ):
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.wait_for_timeout(60)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_are_shown_and_do_not_run(shown: Shown) -> None:
    one, effect = hostile()
    page = shown(compare_html.render([one, replace(one, other=HOSTILE[0])], [effect]))
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    page.mouse.move(600, 600)
    page.locator(".run").nth(1).click()
    page.wait_for_timeout(150)
    body = page.locator("body").inner_text()
    assert HOSTILE[0] in body
    assert HOSTILE[1] in body
    assert page.locator("#app img, #app script, #app svg[onload], #app a, body > svg").count() == 0


def test_what_is_drawn_is_what_was_logged(diverging: Comparison) -> None:
    run = api.read(EXAMPLES / "diverging")
    (series,) = (s for s in run.stages[0].series if s.name == "train/loss")
    (drawn,) = (o.other for o in diverging.overlays if o.name == "train/loss")
    assert max(v for v in drawn.y if v is not None) == pytest.approx(np.nanmax(series.value), rel=1e-6)
    assert drawn.x[-1] == series.x()[-1]
    assert drawn.band is not None
    inside = np.interp(series.x(), drawn.band.x, drawn.band.low), np.interp(series.x(), drawn.band.x, drawn.band.high)
    share = np.mean((series.value >= inside[0]) & (series.value <= inside[1]))
    assert 0.65 < share < 0.9


def test_print_is_light_and_whole(shown: Shown, diverging: Comparison) -> None:
    page = shown(compare_html.render([diverging]), color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".uplot canvas").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") > 0
