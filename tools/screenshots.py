"""Take the pictures of docs/images anew from the example runs: `python tools/screenshots.py` (needs Chromium, extra dev)."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from runvet import api
from runvet.comparison import compare
from runvet.render import compare_html, html

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path("examples", "runs")  # as a user of the checkout names them
LARGEST = 250_000  # bytes of a picture


@dataclass(frozen=True)
class Picture:
    """One picture: the page, its size and light, and the keys pressed before it is taken."""

    name: str
    page: str
    width: int
    height: int
    scheme: str = "light"
    keys: str = ""


def report(name: str) -> str:
    """The report of one example as a page."""
    return html.render([api.judge(api.read(RUNS / name), curves=True)])


def comparison(base: str, other: str) -> str:
    """The comparison of two examples as a page."""
    a, b = api.read(RUNS / base), api.read(RUNS / other)
    return compare_html.render([compare(a, b, api.judge(a), api.judge(b), draw=20_000)])


def take(browser: Any, picture: Picture, folder: Path) -> None:
    """Draw one page and keep what is seen of it. Raises RuntimeError where the page is faulty or the file too large."""
    file = folder / f"{picture.name}.html"
    file.write_text(picture.page, encoding="utf-8")
    size = {"width": picture.width, "height": picture.height}
    page = browser.new_page(viewport=size, color_scheme=picture.scheme)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    for key in picture.keys:
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    target = ROOT / "docs" / "images" / f"{picture.name}.png"
    page.screenshot(path=str(target))
    page.close()
    if wrong or target.stat().st_size > LARGEST:
        raise RuntimeError(f"{target.name}: {wrong or f'{target.stat().st_size:,} bytes'}")


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium on PATH: apt-get install chromium")
    sick, sound, both = report("diverging"), report("healthy"), comparison("healthy", "diverging")
    pictures = [
        Picture("report", sick, 1280, 800, keys="j"),
        Picture("report-phone", sick, 375, 812),
        Picture("report-sound-dark", sound, 1280, 800, "dark"),
        Picture("compare", both, 1280, 940),
        Picture("compare-phone", both, 375, 812, "dark"),
    ]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for picture in pictures:
            take(browser, picture, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
