"""One offline page of plots of a data set's paths: from above, by horizon, and how speeds and accelerations are spread."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvet_lab.trajectories.samples import Samples
from runvet_lab.trajectories.world import DT

WIDTH, HEIGHT, EDGE = 460, 300, 44  # pixels of a plot, and of the room for its numbers
PATHS = 250  # of each split that are drawn
BINS = 40
COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea")
STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1000px;padding:0 1rem;color:#1f2937;background:#fff}
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1.5rem}figure{margin:0}figcaption{font-weight:600}
svg{width:100%;height:auto;background:#f8fafc;border-radius:6px}svg text{font:11px system-ui,sans-serif;fill:#475569}
table{border-collapse:collapse;margin-top:2rem;font-size:14px}td,th{padding:.2rem .8rem .2rem 0;text-align:left}ol{padding-left:1.2rem}
@media(prefers-color-scheme:dark){body{color:#e5e7eb;background:#111827}svg{background:#1f2937}svg text{fill:#cbd5e1}}"""
Line = tuple[str, "np.ndarray[Any, Any]"]  # colour and points (n, 2)


def page(name: str, found: Mapping[str, Samples], described: Mapping[str, Any], said: Sequence[str]) -> str:
    """The page: plots of each split (names to samples), the facts of `stats.describe` and its advice."""
    colours = dict(zip(found, COLOURS, strict=False))
    paths = {split: np.concatenate([np.zeros((len(s.paths), 1, 2)), s.paths.astype(float)], axis=1) for split, s in found.items()}  # fmt: skip
    speeds = {split: np.linalg.norm(np.diff(p, axis=1), axis=-1) / DT for split, p in paths.items()}
    figures = [
        _figure("Paths from above", "metres ahead", "metres to the left", _thinned(paths, colours)),
        _figure("Farthest and typical distance from the start", "seconds", "metres", _by_horizon(paths, colours)),
        _figure("Speed of steps", "m/s", "share", _spread(speeds, colours)),
        _figure("Acceleration of steps", "m/s²", "share",
                _spread({k: np.diff(v, axis=1) / DT for k, v in speeds.items()}, colours)),
    ]  # fmt: skip
    legend = " · ".join(f'<span style="color:{c}">{html.escape(s)}</span>' for s, c in colours.items())
    rows: list[tuple[str, str, Any]] = [
        (s, k, v) for s, part in described.items() if isinstance(part, dict) for k, v in part.items()
    ]
    rows += [("", k, v) for k, v in described.items() if not isinstance(v, dict)]
    cells = "".join(f"<tr><td>{html.escape(s)}</td><td>{html.escape(k)}</td><td>{html.escape(_short(v))}</td></tr>" for s, k, v in rows)  # fmt: skip
    advice = "".join(f"<li>{html.escape(words)}</li>" for words in said)
    title = html.escape(name)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{legend}</p><main>{''.join(figures)}</main><h2>What to do</h2><ol>{advice}</ol>"
        f"<table><tr><th>split</th><th>fact</th><th>value</th></tr>{cells}</table></html>\n"
    )


def _thinned(paths: Mapping[str, Any], colours: Mapping[str, str]) -> list[Line]:
    """At most 250 paths of each split, evenly over all."""
    lines: list[Line] = []
    for split, each in paths.items():
        chosen = np.linspace(0, len(each) - 1, min(PATHS, len(each))).round().astype(int)
        lines += [(colours[split], each[row]) for row in np.unique(chosen)]
    return lines


def _by_horizon(paths: Mapping[str, Any], colours: Mapping[str, str]) -> list[Line]:
    lines: list[Line] = []
    for split, each in paths.items():
        if len(each):
            far = np.linalg.norm(each, axis=-1)
            t = np.arange(far.shape[1]) * DT
            lines += [(colours[split], np.stack([t, line], -1)) for line in (far.max(axis=0), np.median(far, axis=0))]
    return lines


def _spread(values: Mapping[str, Any], colours: Mapping[str, str]) -> list[Line]:
    """Shares in 40 equal bins, the same for every split, as steps."""
    every = np.concatenate([v.ravel() for v in values.values()]) if values else np.zeros(0)
    if not every.size:
        return []
    edges = np.linspace(every.min(), max(every.max(), every.min() + 1e-6), BINS + 1)
    x = np.repeat(edges, 2)[1:-1]
    return [
        (colours[s], np.stack([x, np.repeat(np.histogram(v, edges)[0] / max(1, v.size), 2)], -1))
        for s, v in values.items()
    ]


def _figure(title: str, across: str, up: str, lines: Sequence[Line]) -> str:
    """Lines in one plot with its axes' names and their lowest and highest values."""
    points = np.concatenate([p for _, p in lines]) if lines else np.zeros((1, 2))
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.where(high > low, high - low, 1.0)
    scale = np.array([WIDTH - 2 * EDGE, -(HEIGHT - 2 * EDGE)]) / size
    shift = np.array([EDGE, HEIGHT - EDGE])
    drawn = []
    for colour, line in lines:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (line - low) * scale + shift)
        drawn.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-opacity="{0.3 if len(lines) > 20 else 0.9}"/>')  # fmt: skip
    bottom = HEIGHT - EDGE
    labels = (
        f'<text x="{EDGE}" y="{bottom + 16}">{low[0]:.3g}</text>'
        f'<text x="{WIDTH - EDGE}" y="{bottom + 16}" text-anchor="end">{high[0]:.3g}</text>'
        f'<text x="{WIDTH / 2}" y="{bottom + 32}" text-anchor="middle">{html.escape(across)}</text>'
        f'<text x="{EDGE - 4}" y="{bottom}" text-anchor="end">{low[1]:.3g}</text>'
        f'<text x="{EDGE - 4}" y="{EDGE}" text-anchor="end">{high[1]:.3g}</text>'
        f'<text x="4" y="{EDGE - 16}">{html.escape(up)}</text>'
    )
    return f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(drawn)}{labels}</svg></figure>'


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
