"""Pages in a real browser: each is watched for errors, dialogs and anything that it fetches."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="the extra dev brings playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Show HTML texts, each in a page; in the end no error was logged, no dialog opened and nothing fetched."""
    wrong: list[str] = []
    pages: list[Any] = []

    def show(text: str, width: int = 1280, height: int = 900, hash_: str = "", **options: Any) -> Any:
        file = tmp_path / f"page{len(pages)}.html"
        file.write_text(text, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on(
            "console",
            lambda message: wrong.append(f"console: {message.text}") if message.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                wrong.append(f"fetched: {request.url}")
                if request.url.partition("#")[0] != file.as_uri() and not request.url.startswith("data:")
                else None
            ),
        )
        page.goto(file.as_uri() + hash_)
        page.wait_for_selector("html[data-ready]", timeout=10_000)
        return page

    yield show
    for page in pages:
        page.wait_for_timeout(50)
        page.close()
    assert wrong == []
