"""The HTML report in a real browser: drawn, usable by mouse, finger and key, and deaf to what a run's names say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plots import ink, picture
from runvet import api
from runvet.render import html
from runvet.render.numbers import exact
from runvet.report import Report
from sample_reports import HOSTILE, everything, hostile

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "runs"
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def diverging() -> Report:
    return api.judge(api.read(EXAMPLES / "diverging"), curves=True)


@pytest.fixture
def opened(shown: Callable[..., Any]) -> Opened:
    """Open reports in a page."""
    return lambda *reports, **options: shown(html.render(reports), **options)


def test_curves_are_drawn_and_marked(opened: Opened, diverging: Report) -> None:
    page = opened(diverging)
    assert page.locator(".uplot canvas").count() >= 2
    assert ink(page) > 20
    tags = page.locator(".tag").all_inner_texts()
    assert tags[0] == "LOSS101"
    assert set(tags) <= {finding.rule for finding in diverging.findings}
    assert page.locator("h1").inner_text().lower() == "critical"
    assert "checks ran" in page.locator(".coverage").inner_text()
    assert page.locator(".actions li").count() == len(diverging.actions)


def test_a_finding_and_its_place_lead_to_each_other(opened: Opened) -> None:
    page = opened(everything())
    before = picture(page)
    page.locator("[data-rule=LOSS101] .place").first.click()
    assert page.locator(".tag.on").inner_text().strip() == "LOSS101"
    assert page.locator("[data-rule=LOSS101]").get_attribute("aria-current") == "true"
    assert page.locator("[data-tool=reset]").is_enabled()
    assert picture(page) != before
    page.locator("[data-tool=reset]").click()
    assert page.locator("[data-tool=reset]").is_disabled()
    page.locator(".tag", has_text="LOSS103").click()
    assert page.locator("[data-rule=LOSS103]").get_attribute("aria-current") == "true"
    assert page.locator("details.followers").get_attribute("open") is not None, (
        "a consequence is shown where it is folded"
    )


def test_drag_zooms_all_plots_and_reset_shows_everything(opened: Opened, diverging: Report) -> None:
    page = opened(diverging)
    before = picture(page)
    box = page.locator(".over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_function("!document.querySelector('[data-tool=reset]').disabled")
    assert picture(page) != before
    page.mouse.move(box["x"] + 5, box["y"] + 60)
    steps = [float(t.split()[1].replace(",", "")) for t in page.locator(".readout .at").all_inner_texts()]
    assert all(400 < s < 550 for s in steps), steps
    page.keyboard.press("r")
    page.mouse.move(1, 1)
    page.wait_for_function("document.querySelector('[data-tool=reset]').disabled")
    page.wait_for_timeout(60)
    assert picture(page) == before


def test_hover_reads_values(opened: Opened, diverging: Report) -> None:
    page = opened(diverging)
    box = page.locator(".over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 40)
    step = int(page.locator(".readout .at").first.inner_text().removeprefix("step ").replace(",", ""))
    assert 1_485 <= step <= 1_499
    curve = next(c for c in diverging.curves if c.name == "train/loss")
    assert page.locator(".readout .value b").first.inner_text() == exact(curve.y[curve.x.index(step)])
    page.mouse.move(1, 1)
    assert page.locator(".readout .value b").first.inner_text() == "16.1596", "without a cursor the last values stand"


def test_logarithmic_axes(opened: Opened) -> None:
    page = opened(everything())
    before = picture(page)
    page.locator("[data-tool=logY]").click()
    assert page.locator("[data-tool=logY]").get_attribute("aria-pressed") == "true"
    assert picture(page) != before
    page.keyboard.press("x")
    assert page.locator("[data-tool=logX]").get_attribute("aria-pressed") == "true"
    assert "cannot stand on a logarithmic axis" in page.locator(".panel .note").first.inner_text()


def test_metrics_are_chosen(opened: Opened, diverging: Report) -> None:
    page = opened(diverging)
    plots = page.locator(".uplot").count()
    page.locator(".chip", has_text="step_time").click()
    assert page.locator(".uplot").count() == plots + 1
    page.locator(".chip", has_text="step_time").click()
    assert page.locator(".uplot").count() == plots


def test_keyboard(opened: Opened) -> None:
    page = opened(everything())
    current = "document.querySelector('[aria-current=true]')?.dataset.rule"
    seen = []
    for key in "jjjk":
        page.keyboard.press(key)
        seen.append(page.evaluate(current))
    assert seen == ["LOSS101", "LOSS103", "ENV101", "LOSS103"]
    page.keyboard.press("?")
    assert page.locator("dialog[open]").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.locator(".host").first.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".readout .at").first.inner_text()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert page.locator(".readout .at").first.inner_text() != first
    page.keyboard.press("+")
    assert page.locator("[data-tool=reset]").is_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(opened: Opened, diverging: Report, scheme: str) -> None:
    page = opened(diverging, color_scheme=scheme)
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (page.evaluate(shade) < 60) == (scheme == "dark")
    before = picture(page)
    for _ in range(2 if scheme == "light" else 1):  # automatic, light, dark
        page.keyboard.press("t")
    assert (page.evaluate(shade) < 60) != (scheme == "dark"), "the choice overrules the system"
    assert picture(page) != before


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
@pytest.mark.parametrize("report", [everything(), hostile()], ids=["usual", "hostile"])
def test_no_width_scrolls_sideways(opened: Opened, report: Report, width: int) -> None:
    page = opened(report, width=width, height=812)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_finger_can_zoom_and_a_tap_finds_the_place(opened: Opened, diverging: Report) -> None:
    page = opened(diverging, width=375, height=812, has_touch=True, is_mobile=True)
    page.locator(".place").first.tap()
    page.wait_for_timeout(600)
    assert page.locator(".tag.on").count() == 1
    assert page.evaluate("document.querySelector('.uplot').getBoundingClientRect().top") < 812


def test_hostile_names_are_shown_and_do_not_run(opened: Opened) -> None:
    page = opened(hostile(), everything(HOSTILE[5], HOSTILE[2], HOSTILE[0]))
    for _ in range(3):
        page.keyboard.press("j")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    page.mouse.move(900, 500)
    page.wait_for_timeout(150)
    body = page.locator("body").inner_text()
    assert HOSTILE[0] in body
    assert HOSTILE[1] in body
    assert page.locator("#app img, #app script, #app svg[onload], #app a, body > svg").count() == 0
    page.locator(".run").nth(1).click()
    assert HOSTILE[0] in page.locator(".meta").inner_text()


def test_a_script_that_got_in_would_be_stopped_by_the_policy(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.html"
    file.write_text(
        html.render([everything()]).replace(
            "<noscript>", "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'><noscript>", 1
        ),
        encoding="utf-8",
    )
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    page.close()


def test_several_runs_and_links_to_a_finding(opened: Opened, diverging: Report) -> None:
    healthy = api.judge(api.read(EXAMPLES / "healthy"), curves=True)
    page = opened(healthy, diverging)
    assert page.locator(".run[aria-current]").inner_text().startswith("critical"), "the worst run is shown first"
    page.locator(".run", has_text="healthy").click()
    assert page.locator("h1").inner_text().lower() == "sound"
    assert page.locator(".card").count() == 0
    assert ink(page) > 10
    page = opened(everything(), hash_="#finding-2")
    assert page.locator("[data-rule=LOSS103]").get_attribute("aria-current") == "true"


def test_without_curves_the_medians_are_drawn(opened: Opened) -> None:
    page = opened(api.judge(api.read(EXAMPLES / "diverging")))
    assert ink(page) > 10
    assert "64 medians of 1,500 points" in page.locator(".panel .note").first.inner_text()


def test_print_is_light_and_whole(opened: Opened, diverging: Report) -> None:
    page = opened(diverging, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".toolbar").is_visible()
    assert page.locator(".uplot canvas").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") > 0


def test_everything_interactive_has_a_name(opened: Opened) -> None:
    page = opened(everything())
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, [role=img], summary, section')].filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim())).length"
    )
    assert nameless == 0
    for badge in page.locator(".badge").all_text_contents():
        assert badge.strip() in ("critical", "warning", "suspect", "sound", "not judged")


@pytest.fixture(scope="module")
def long_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run of 100,000 steps with four metrics, one of them with spikes."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(0)
    steps = np.arange(100_000)
    loss = 2 + 3 / (1 + steps / 2_000) + rng.normal(0, 0.05, len(steps))
    loss[rng.integers(0, len(steps), 20)] += 5
    columns = {
        "step": steps,
        "train_loss": loss,
        "lr": 1e-3 * (1 + np.cos(np.pi * steps / len(steps))),
        "grad_norm": np.exp(rng.normal(0, 0.3, len(steps))),
        "accuracy": 1 - np.exp(-steps / 20_000) + rng.normal(0, 0.01, len(steps)),
    }
    with (folder / "metrics.csv").open("w", encoding="utf-8") as stream:
        stream.write(",".join(columns) + "\n")
        for row in zip(*(c.tolist() for c in columns.values()), strict=True):
            stream.write(",".join(f"{v:.6g}" for v in row) + "\n")
    return api.judge(api.read(folder), curves=True)


def test_a_hundred_thousand_points_open_at_once_and_zoom(opened: Opened, long_report: Report) -> None:
    assert sum(s.points for s in long_report.stages[0].series) == 400_000
    assert len(html.render([long_report]).encode()) < 1_000_000
    page = opened(long_report)
    assert ink(page) > 20
    spike = max(s.max for s in long_report.stages[0].series if s.name == "train_loss")
    drawn = next(c for c in long_report.curves if c.name == "train_loss")
    assert max(v for v in drawn.y if v is not None) == pytest.approx(spike, rel=1e-6), "extremes are kept"
    timing = "(t => t.loadEventEnd - t.startTime)(performance.getEntriesByType('navigation')[0])"
    page.wait_for_function(f"{timing} > 0")
    assert len(page.evaluate(ZOOM)) == 30
    assert page.locator("[data-tool=reset]").is_enabled(), "nothing was zoomed"


# Thirty steps of a zoom, each drawn in a frame of its own: the milliseconds between frames.
ZOOM = """() => new Promise((done) => {
  const host = document.querySelector('.host'), times = [];
  host.focus();
  let last = performance.now(), step = 0;
  const next = (now) => {
    if (step > 0) times.push(now - last);
    last = now;
    if (step++ === 30) { done(times); return; }
    host.dispatchEvent(new KeyboardEvent('keydown', { key: step % 15 < 8 ? '+' : '-', bubbles: true }));
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""
