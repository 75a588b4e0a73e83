"""Reports for the tests of renderers: one with everything in it, with names as bad as a stranger can make them."""

from __future__ import annotations

import base64
import math

from runvet import report as r

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "javascript:alert(3)",
    "\"'><svg onload=alert(4)>",
    "<!--<script>\u2028alert(5)\u2029",
    "{{script}} ${alert(6)} \x1b[2J\x00 &lt;b&gt;",
)


def curve(stage: str, name: str, role: str | None, points: int = 400) -> r.Curve:
    y = tuple(None if i == 70 else 5 / (1 + i / 40) + 0.2 * math.sin(i) for i in range(points))
    return r.Curve(
        stage,
        name,
        role,
        "step",
        tuple(range(0, 10 * points, 10)),
        y,
        (0, points // 2),
        20 * points,
        2,
        r.Trend((0, 2000), (5, 0.6), (0,), 40),
    )


def everything(name: str = "train/loss", stage: str = "dynamics", path: str = "runs/a") -> r.Report:
    """A report that fills every field; the words that a run can choose are the arguments."""
    window = r.Window(name, 500, 900)
    measures = tuple(
        r.Measure(f"{name} {i}", v, name, f"{path}:{i}")
        for i, v in enumerate((1.5, math.nan, math.inf, name, None, 7, 8.25))
    )
    found = (
        r.Finding(
            "LOSS101",
            "rising-loss",
            "critical",
            stage,
            f"{name} rises",
            measures,
            500,
            name,
            (r.Action(f"Stop {name}", "now", "stop"),),
            window,
        ),
        r.Finding(
            "LOSS103",
            "loss-spikes",
            "warning",
            stage,
            f"{name} spikes",
            caused_by="LOSS101",
            window=r.Window("lr", 100, 200),
        ),
        r.Finding("ENV101", "wrong-checkout", "warning", None, f"{path} differs", actions=(r.Action("Look"),)),
    )
    summary = r.StageSummary(
        stage, "critical", path, r.Steps(0, 3990, 10_000), name, (r.WindowSummary(0, 1000, 2.5, 2.25), r.WindowSummary(1000, 2000, 1.5, 1.25)),
        (r.SeriesSummary(name, "train_loss", 8000, 5, 0.4, 0.3, 5.2, 0.7, "down", 1, 2), r.SeriesSummary("lr", "lr", 8000, 0.1, 0.0, 0.0, 0.1, 0.05)),
        {"overall": 2.5, "recent": 2.25, "unit": "step/s"}, {"overall": 2404, "recent": 2671}, (5.0, 2.5, 1.25), 2, (path,),
    )  # fmt: skip
    unchecked = (r.Unchecked("SYS103", "growing-memory", stage, f"no {name}", f"log {name}"),)
    checks = r.Checks(
        3,
        7,
        unchecked,
        unchecked,
        (r.Unchecked("X101", "bad-rule", None, name),),
        ("LOSS102",),
        (r.Unchecked("LOG103", "traceback", None, name),),
    )
    return r.Report(
        "0.1.0", path, "critical", (summary,), found, (r.PlannedAction(1, f"Stop {name}", ("LOSS101",), "now", stage),), r.TrustedCheckpoint(path, 26_000, name), checks,
        (r.ReadProblem(f"{path}:17", name, "repair it"),), {"files": 3, "ignored": 5, "points": 16_000, "seconds": 0.25}, "",
        (curve(stage, name, "train_loss"), curve(stage, "lr", "lr")),
    )  # fmt: skip


def hostile() -> r.Report:
    """All of it with hostile words, each in its turn."""
    return everything(" ".join(HOSTILE[:3]), HOSTILE[3], HOSTILE[1] + HOSTILE[4])


def figures(name: str = "sample", code: str = "LOSS101", stage: str | None = "dynamics") -> tuple[r.Figure, ...]:
    """A figure of every kind; the words that a run can choose are the argument."""
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    cells = base64.b64encode(bytes([0, 0, 0, 0, 63, 2, 0, 0, 0, 63 | 64, 4, 3, 1, 1, 63 | 64 | 128])).decode()
    grid = {"name": name, "label": name, "size": [5, 4, 2], "facts": name, "cells": cells, "thinned": 2, "left_out": 3}
    panel = {"title": name, "unit": name, "edges": [0, 1, 2], "sets": [
        {"name": name, "n": 3, "median": 0.5, "shares": [0.25, 0.75], "values": [0.5, 1, 2]},
        {"name": "data", "n": 9, "median": 1.5, "shares": [1, 0], "values": []}]}  # fmt: skip
    rows = [
        {
            "label": name,
            "note": name,
            "bars": [{"role": "truth", "low": -2, "high": 4}, {"role": name, "low": 0, "high": 1}],
        }
    ]
    lines = [{"role": role, "points": [0, 0, 1, 1, 2, 1]} for role in ("truth", "prediction", "steady", name)]
    side = {"low": -1, "high": 3, "low95": 0, "high95": 2, "median": 1}
    data = {
        "sheet": {"groups": [{"label": name, "items": [{"name": name, "facts": name, "boxes": [[0, 0.5, 1, 0.5]], "png": pixel, "w": 1, "h": 1}]}]},
        "grids": {"groups": [{"label": name, "grids": [grid, grid]}], "up": 1, "other": name,
                  "palette": [{"id": 1, "name": name, "colour": "#336699", "foreign": True}, {"id": 2, "name": name, "colour": name, "foreign": False}]},
        "histograms": {"panels": [panel]},
        "scatter": {"axes": [name, name], "facts": name, "x": [-1, 0, 3], "y": [0, 1, 2], "ranges": {"x": side, "y": side}},
        "paths": {"items": [{"name": name, "facts": name, "lines": lines}], "facts": name},
        "ranges": {"rows": rows},
        "lines": {"axis": name, "lines": lines},
        "note": {},
        name: {"groups": name},
    }  # fmt: skip
    return tuple(r.Figure(kind, stage, (code,), f"{kind} of {name}", name, told) for kind, told in data.items())
