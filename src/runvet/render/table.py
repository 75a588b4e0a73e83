"""Many runs in one table, worst first: a line each."""

from __future__ import annotations

from collections.abc import Sequence

from runvet.render.numbers import exact, plural, short
from runvet.render.terminal import Terminal
from runvet.render.words import counts, rank
from runvet.report import VERDICTS, Report, StageSummary

GAP = "  "


def render(reports: Sequence[Report], terminal: Terminal | None = None) -> str:
    """Verdict, path, steps, the lead curve from first to last, and the worst finding of each run."""
    t = terminal or Terminal()
    worst = sorted(reports, key=rank)
    arrow = "→" if t.unicode else "->"
    below = _shared([r.path for r in worst])
    rows = [
        [r.verdict, t.plain(r.path[len(below) :]), *(t.plain(c) for c in _facts(r, arrow)), t.plain(_top(r))]
        for r in worst
    ]
    head = ["verdict", "run", "steps", f"first {arrow} last", "worst finding"]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(5)]
    widths[1] = min(widths[1], max(24, t.width - sum((widths[0], widths[2], widths[3], 34)) - 4 * len(GAP)))
    lines = [t.paint(_line(head, widths, t.width), "bold")]
    for row in rows:
        line = _line(row, widths, t.width)
        lines.append(t.paint(line[: len(row[0])], row[0]) + line[len(row[0]) :])
    told = ", ".join(f"{n} {v}" for v, n in counts(reports))
    return t.fit(
        "\n".join([*lines, "", f"{plural(len(reports), 'run')}{f' in {t.plain(below)}' if below else ''}: {told}"])
        + "\n"
    )


def lead(report: Report) -> StageSummary | None:
    """The stage that stands for a run: the worst, of those the longest."""
    return min(report.stages, key=lambda s: (VERDICTS.index(s.verdict), -float(s.steps.last or 0)), default=None)


def _shared(paths: Sequence[str]) -> str:
    """The folder, with its slash, that all paths have in common."""
    first, last = min(paths, default=""), max(paths, default="")
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first.rfind("/", 0, same) + 1] if len(paths) > 1 else ""


def _facts(report: Report, arrow: str) -> tuple[str, str]:
    stage = lead(report)
    if stage is None:
        return "", ""
    curve = next((s for s in stage.series if s.name == stage.lead), None)
    done = f"{short(stage.steps.last)} {stage.steps.axis}s" if stage.steps.last is not None else ""
    return done, f"{_number(curve.first)} {arrow} {_number(curve.last)}" if curve is not None else ""


def _number(value: float | None) -> str:
    return exact(value) if value is None or abs(value) >= 1e5 or float(value).is_integer() else f"{value:.4g}"


def _top(report: Report) -> str:
    if not report.findings:
        return report.why_not_judged.replace(report.path + "/", "") if report.verdict == "not judged" else ""
    first, rest = report.findings[0], len(report.findings) - 1
    where = f" ({first.stage})" if first.stage and len(report.stages) > 1 else ""
    return f"{first.rule} {first.name}{where}" + (f" +{rest}" if rest else "")


def _line(cells: Sequence[str], widths: Sequence[int], width: int) -> str:
    """The cells in columns; the start of a path that is too long is cut, its end says more."""
    fitted = [cells[0], cells[1] if len(cells[1]) <= widths[1] else "…" + cells[1][1 - widths[1] :], *cells[2:]]
    line = GAP.join(cell.ljust(w) for cell, w in zip(fitted, widths, strict=True)).rstrip()
    return line if len(line) <= width else line[: width - 1] + "…"
