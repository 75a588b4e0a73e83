"""Reports, profiles and comparisons in a notebook: small tables without script, everything from the run escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from runvet.render import data as profiles
from runvet.render.numbers import exact
from runvet.report import Finding, Report

if TYPE_CHECKING:
    from runvet.artifacts.api import SampleComparison
    from runvet.artifacts.profile import Profile

COLOURS = {
    "critical": "#c2281d",
    "warning": "#965a00",
    "suspect": "#965a00",
    "sound": "#12703d",
    "not judged": "#6741a5",
}
MOST = 12  # findings and actions that are listed


def report(told: Report) -> str:
    """Verdict, coverage, findings with their first numbers, and what to do."""
    rows = [_finding(f) for f in told.findings[:MOST]]
    more = len(told.findings) - len(rows)
    parts = [
        f"<p>{_word(told.verdict)} &nbsp;<code>{escape(told.path)}</code> &nbsp;{told.checks.ran} of {told.checks.of} checks ran</p>",
        f"<p>{escape(told.why_not_judged)}</p>" if told.why_not_judged else "",
        _table(("", "rule", "stage", "what", "numbers"), rows) if rows else "",
        f"<p>… {more} more in <code>report.findings</code></p>" if more > 0 else "",
    ]
    if told.actions:
        items = "".join(
            f"<li>{escape(a.do)}{f' <i>[{escape(a.cost)}]</i>' if a.cost else ''}</li>" for a in told.actions[:MOST]
        )
        parts.append(f"<p><b>Do this, in this order</b></p><ol>{items}</ol>")
    trusted = told.trusted_checkpoint
    if trusted:
        parts.append(f"<p><b>Trusted checkpoint</b> <code>{escape(trusted.path)}</code> {escape(trusted.why)}</p>")
    return f"<div>{''.join(parts)}</div>"


def _finding(found: Finding) -> list[str]:
    numbers = "; ".join(
        f"{m.what}: {exact(m.value) if isinstance(m.value, (int, float)) else m.value}{f' {m.unit}' if m.unit else ''}"
        for m in found.evidence[:3]
    )
    name = f"<code>{escape(found.rule)}</code> {escape(found.name)}"
    return [_word(found.severity), name, escape(found.stage or ""), escape(found.message), escape(numbers)]


def profile(told: Profile) -> str:
    """The profile as the command line prints it."""
    return _lines(profiles.as_text(told.name, [told]))


def comparison(told: SampleComparison) -> str:
    """Both medians of every measure, their ratio, and how sure the difference is."""
    rows = [
        [escape(f"{d.what}{f' of {d.label}' if d.label else ''}"), f"{d.first:.5g}", f"{d.second:.5g}", f"{d.ratio:.3g}", f"{d.p:.2g}", f"{d.n:,}, {d.m:,}"]
        for d in told
    ]  # fmt: skip
    both = f"<p>{len(told.in_both):,} items are in both</p>" if told.in_both else ""
    return f"<div>{_table(('median of', 'samples', 'data', 'ratio', 'p', 'n, m'), rows)}{both}</div>"


def _word(state: str) -> str:
    return f'<b style="color:{COLOURS.get(state, "inherit")}">{escape(state)}</b>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are already escaped."""
    left = ' style="text-align:left;vertical-align:top"'
    top = "".join(f"<th{left}>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td{left}>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _lines(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
