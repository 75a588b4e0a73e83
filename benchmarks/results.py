"""RESULTS.md from what was measured."""

from __future__ import annotations

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


@dataclass
class Check:
    """A target of runvet alone."""

    what: str
    seconds: float
    peak: float
    target: str
    reached: bool


def write(
    path: Path,
    about: list[str],
    versions: list[str],
    points: int,
    rows: list[Row],
    programs: list[tuple[str, str, float, float, str]],
    checks: list[Check],
) -> None:
    """Write the tables."""
    lines = ["# Speed", "", "Written by `make bench`; every figure is from one run of it.", ""]
    lines += [f"- {line}" for line in about] + [f"- {', '.join(versions)}", ""]
    lines += [
        f"Reading logs of {points:,} points. Fresh processes that take turns, imports not counted, the best turn of each"
        " counts; peak is the largest resident memory of any turn, imports included.",
        "",
        "| log | MB | program | seconds | points/s | peak MiB | runvet is faster by | target |",
        "| --- | --: | --- | --: | --: | --: | --: | --- |",
    ]
    for row in rows:
        lines += _reading(row)
    lines += [
        "",
        "Whole checks from the command line, start and imports included. Memory below that of the measuring process can't be told apart.",
        "",
    ]
    lines += ["| log | program | seconds | peak MiB | it said |", "| --- | --- | --: | --: | --- |"]
    for log, name, seconds, peak, remark in programs:
        cells = ("–", "–") if seconds != seconds else (f"{seconds:.2f}", f"{peak:.0f}")
        lines.append(f"| {log} | {name} | {cells[0]} | {cells[1]} | {remark.replace('|', '/')} |")
    lines += [
        "",
        "runvet alone.",
        "",
        "| what | seconds | peak MiB | target | reached |",
        "| --- | --: | --: | --- | --- |",
    ]
    for check in checks:
        reached = "yes" if check.reached else "**no**"
        lines.append(f"| {check.what} | {check.seconds:.2f} | {check.peak:.0f} | {check.target} | {reached} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _reading(row: Row) -> list[str]:
    mine = row.costs[row.mine]
    lines = []
    for job, cost in row.costs.items():
        label = f"**{job}**" if job == row.mine else f"{job} (reading and judging)" if job == "runvet check" else job
        if cost.why:
            lines.append(f"| {row.name} | {row.size / 1e6:.0f} | {label} | – | – | – | – | {cost.why} |")
            continue
        ratio = "" if job in (row.mine, "runvet check") else f"{cost.seconds / mine.seconds:.1f}×"
        target = _target(row, job, cost, mine)
        lines.append(
            f"| {row.name} | {row.size / 1e6:.0f} | {label} | {cost.seconds:.3f} | {cost.points / cost.seconds:,.0f}"
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
    return f"{wanted:g}×: {'reached' if cost.seconds / mine.seconds >= wanted else '**not reached**'}"
