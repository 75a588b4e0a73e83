"""What a page in a browser has drawn."""

from __future__ import annotations

from typing import Any


def ink(page: Any, plot: int = 0) -> int:
    """How many different colours a plot's canvas holds: an empty one has a single one."""
    count: int = page.evaluate(
        "n => { const c = document.querySelectorAll('.uplot canvas')[n], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return new Set(new Uint32Array(d.buffer)).size }",
        plot,
    )
    return count


def picture(page: Any) -> str:
    url: str = page.evaluate("document.querySelector('.uplot canvas').toDataURL()")
    return url
