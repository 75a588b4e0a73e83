"""Take the pictures of docs/figures.md anew, of runs made in memory: `python tools/figure_screenshots.py` (needs Chromium)."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from runvet import api, examples
from runvet import examples_artifacts as artifacts
from runvet.render import html

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 250_000  # bytes of a picture


def page(files: dict[str, Any]) -> str:
    """The report of a run with these files beside a falling loss."""
    run = examples.run(examples.stage(loss=examples.decay()), files=files)
    return html.render([api.judge(run, curves=True, figures=True)])


def floating() -> str:
    """Trees as data, loose blocks as samples."""
    made = [artifacts.scattered(i, 70) for i in range(4)]
    early = {**artifacts.grids("samples/step_100", [artifacts.scattered(9, 700)])}
    data = artifacts.grids("data", [artifacts.tree(i) for i in range(40)], name="oak_tree")
    return page(early | artifacts.grids("samples/step_900", made, name="oak_tree") | data)


def squeezed() -> str:
    """Trajectories whose predictions hardly leave the mean."""
    rng = np.random.default_rng(0)
    turn, angle = rng.normal(0, 0.12, (80, 1)), rng.uniform(-0.7, 0.7, (80, 1))
    heading = angle + turn * np.arange(16)
    speed = rng.uniform(2, 9, (80, 1, 1))
    path = np.cumsum(speed * np.stack([np.cos(heading), np.sin(heading)], axis=2), axis=1)
    mean = path[:, 4:].mean(axis=0)
    pred = mean + 0.15 * (path[:, 4:] - mean) + rng.normal(0, 0.6, path[:, 4:].shape)
    return page({"predictions.npz": {"pred": pred, "gt": path[:, 4:], "history": path[:, :4]}})


def blank() -> str:
    """Pictures of five steps: the truth above, below it what the model drew."""
    rng = np.random.default_rng(1)
    files = {}
    for step in (1_000, 2_000, 3_000, 4_000, 5_000):
        truth = np.concatenate([artifacts.scene(step + i) for i in range(4)], axis=1)
        drawn = np.concatenate(
            [np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), (48, 48, 3)) for _ in range(4)], axis=1
        )
        files[f"visualizations/prediction_step_{step}.png"] = {"image": np.concatenate([truth, drawn])}
    return page(files)


def take(browser: Any, name: str, text: str, selector: str, folder: Path) -> None:
    """Keep one part of a page as a picture. Raises RuntimeError where the page is faulty or the file too large."""
    file = folder / f"{name}.html"
    file.write_text(text, encoding="utf-8")
    shown = browser.new_page(viewport={"width": 1280, "height": 1000})
    wrong: list[str] = []
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.goto(file.as_uri())
    shown.wait_for_selector("html[data-ready]")
    shown.wait_for_timeout(400)
    target = ROOT / "docs" / "images" / f"{name}.png"
    shown.locator(selector).first.screenshot(path=str(target))
    shown.close()
    if wrong or target.stat().st_size > LARGEST:
        raise RuntimeError(f"{target.name}: {wrong or f'{target.stat().st_size:,} bytes'}")


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium on PATH: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        take(browser, "figure-grids", floating(), "[data-rule=GEN102] .looks", Path(folder))
        take(browser, "figure-paths", squeezed(), "[data-rule=REG101] .looks", Path(folder))
        take(browser, "figure-sheet", blank(), "[data-rule=GEN104]", Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
