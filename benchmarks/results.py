"""RESULTS.md from what was measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One format: runvet's job, every job's cost, the ratio wanted to each peer, and the speed wanted in points a second."""

    name: str
    size: int
    mine: str
    costs: dict[str, Any]
    targets: dict[str, float | None]
    speed: float | None


# Why a target may stay out of reach; kept short, and true of what is measured above.
REASONS = (
    "Where a target is not reached:",
    "",
    "- CSV against `pandas.read_csv`: pandas 3 parses in C on both cores. runvet's core has numpy and orjson only; its reading also",
    "  finds axes, names and broken lines. The rate that pandas 2 had here, 5.6 million values a second, is the other target.",
    "- Text: a line of a Python logger is split, its numbers parsed, its time stamp read and its place kept, in numpy, on one core.",
)


@dataclass
class Check:
    """A target of runvet alone."""

    what: str
    seconds: float
    cpu: float
    peak: float
    target: str
    reached: bool


def write(
    path: Path,
    about: list[str],
    versions: list[str],
    points: int,
    rows: list[Row],
    programs: list[tuple[str, str, float, float, float, str]],
    checks: list[Check],
) -> None:
    """Write the tables."""
    lines = ["# Speed", "", "Written by `make bench`; every figure is from one run of it.", ""]
    lines += [f"- {line}" for line in about] + [f"- {', '.join(versions)}", ""]
    lines += [
        f"Reading logs of {points:,} points. Points of a text log are its lines. Fresh processes that take turns, imports"
        " not counted; seconds are those of the best turn, on the clock and of the CPU. The ratios are of turns side by side:"
        " the median, and in brackets that of CPU seconds. Peak is the largest resident memory of any turn, imports included.",
        "",
        "| log | MB | program | seconds | CPU s | points/s | peak MiB | runvet is faster by | target |",
        "| --- | --: | --- | --: | --: | --: | --: | --: | --- |",
    ]
    for row in rows:
        lines += _reading(row)
    lines += ["", *REASONS]
    lines += [
        "",
        "Whole checks from the command line, start and imports included.",
        "",
    ]
    lines += ["| log | program | seconds | CPU s | peak MiB | it said |", "| --- | --- | --: | --: | --: | --- |"]
    for log, name, seconds, cpu, peak, remark in programs:
        figures = "– | – | –" if seconds != seconds else f"{seconds:.2f} | {cpu:.2f} | {peak:.0f}"
        lines.append(f"| {log} | {name} | {figures} | {remark.replace('|', '/')} |")
    lines += [
        "",
        "runvet alone.",
        "",
        "| what | seconds | CPU s | peak MiB | target | reached |",
        "| --- | --: | --: | --: | --- | --- |",
    ]
    for check in checks:
        reached = "yes" if check.reached else "**no**"
        lines.append(
            f"| {check.what} | {check.seconds:.2f} | {check.cpu:.2f} | {check.peak:.0f} | {check.target} | {reached} |"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _reading(row: Row) -> list[str]:
    mine = row.costs[row.mine]
    lines = []
    for job, cost in row.costs.items():
        label = f"**{job}**" if job == row.mine else f"{job} (reading and judging)" if job == "runvet check" else job
        if cost.why:
            lines.append(f"| {row.name} | {row.size / 1e6:.0f} | {label} | – | – | – | – | – | {cost.why} |")
            continue
        ratio = (
            ""
            if job in (row.mine, "runvet check")
            else f"{_ratio(cost.every, mine.every):.1f}× ({_ratio(cost.every_cpu, mine.every_cpu):.1f}×)"
        )
        target = _target(row, job, cost, mine)
        lines.append(
            f"| {row.name} | {row.size / 1e6:.0f} | {label} | {cost.seconds:.3f} | {cost.cpu:.3f} | {cost.points / cost.seconds:,.0f}"
            f" | {cost.peak:.0f} | {ratio} | {target} |"
        )
    return lines


def _target(row: Row, job: str, cost: Any, mine: Any) -> str:
    if job == row.mine and row.speed is not None:
        reached = cost.points / cost.seconds >= row.speed
        return f"{row.speed:,.0f} points/s: {'reached' if reached else '**not reached**'}"
    wanted = row.targets.get(job)
    if wanted is None:
        return ""
    return f"{wanted:g}×: {'reached' if _ratio(cost.every, mine.every) >= wanted else '**not reached**'}"


def _ratio(theirs: list[float], mine: list[float]) -> float:
    """How many times as long the other took, as the median over turns that ran side by side."""
    return statistics.median(a / b for a, b in zip(theirs, mine, strict=False))
