"""One line a finding, and one for the verdict: for grep, editors and commit hooks."""

from __future__ import annotations

from runvet.render.numbers import short
from runvet.render.terminal import Terminal
from runvet.report import Report
from runvet.run import Run


def render(report: Report, terminal: Terminal | None = None, *, verbose: bool = False, run: Run | None = None) -> str:  # noqa: ARG001
    """`path:stage: severity CODE name: message`, worst first, then the verdict with its coverage."""
    t = terminal or Terminal()
    lines = []
    for f in report.findings:
        since = f" [since step {short(f.since_step)}]" if f.since_step is not None else ""
        place = report.path + (f":{f.stage}" if f.stage else "")
        lines.append(
            f"{t.plain(place)}: {t.paint(f.severity, f.severity)} {f.rule} {f.name}: {t.plain(f.message)}{since}"
        )
    coverage = f"{report.checks.ran} of {report.checks.of} checks ran"
    lines.append(f"{t.plain(report.path)}: {t.paint(report.verdict, report.verdict)}: {coverage}")
    return t.fit("\n".join(line.replace("\n", " ") for line in lines) + "\n")
