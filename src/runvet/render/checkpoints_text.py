"""Checkpoints for a terminal: one row each, what is wrong, which one to trust."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

from runvet.audit import Audit, Row
from runvet.drift import Difference
from runvet.render.numbers import plural, short
from runvet.render.terminal import Terminal

MOST = 40  # rows drawn without --verbose; those with problems, the first and the last have precedence
MODULES = 60
UNITS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))
HEAD = ("step", "checkpoint", "size", "tensors", "parameters", "finite", "changed", "resume", "usable")
MARKS = {"optimizer": "optim", "schedule": "sched", "random state": "rng", "step": "step", "epoch": "epoch"}


def render(made: Audit, terminal: Terminal | None = None, *, verbose: bool = False) -> str:
    """The table, the findings and the trusted checkpoint. `verbose` draws every row."""
    t = terminal or Terminal()
    lines = [
        f"{t.paint(t.plain(made.path), 'bold')}   {plural(len(made.rows), 'checkpoint')}   {_size(sum(r.checkpoint.bytes for r in made.rows if not r.copy_of))}",
        "",
    ]
    lines += [*_table(made, t, verbose=verbose), ""] if made.rows else []
    lines += _findings(made, t, verbose=verbose)
    trusted = made.report.trusted_checkpoint
    if trusted is not None:
        lines += [*t.wrap(f"Trusted checkpoint: {trusted.path} ({trusted.why})", indent=2, first=""), ""]
    elif made.rows:
        lines += ["No checkpoint can be trusted.", ""]
    lines += _verified(made, t)
    lines += _unchecked(made, t)
    return t.fit("\n".join(lines).rstrip() + "\n")


def _table(made: Audit, t: Terminal, *, verbose: bool) -> Iterator[str]:
    shown = list(made.rows) if verbose else _chosen(made.rows)
    stages = {r.stage for r in made.rows}
    below = _shared([r.checkpoint.path for r in made.rows])
    cells = [_cells(r, below, several=len(stages) > 1) for r in shown]
    keep = [i for i in range(len(HEAD)) if i in (1, 8) or any(c[i] for c in cells)]
    widths = {i: max(len(HEAD[i]), *(len(c[i]) for c in cells)) for i in keep}
    widths[1] = max(12, min(widths[1], t.width - sum(w + 2 for i, w in widths.items() if i != 1)))
    if below:
        yield f"in {t.plain(below)}"
    yield t.paint("  ".join(_cell(HEAD[i], i, widths[i]) for i in keep).rstrip(), "bold")
    for row, several in zip(shown, cells, strict=True):
        line = t.plain("  ".join(_cell(several[i], i, widths[i]) for i in keep).rstrip())
        yield t.paint(
            line, "critical" if row.checkpoint.usable is False and not row.writing else "dim" if row.copy_of else ""
        )
    if len(shown) < len(made.rows):
        yield f"… {len(made.rows) - len(shown)} more: --verbose"


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Not more than `MOST`: bad and last ones before others, in their order."""
    if len(rows) <= MOST:
        return list(rows)
    usable = [i for i, r in enumerate(rows) if r.checkpoint.usable]
    bad = [i for i, r in enumerate(rows) if not r.checkpoint.usable]
    first, second = (usable, bad) if len(usable) < len(bad) else (bad, usable)
    keep = {0, len(rows) - 1, *first[-MOST // 2 :]}
    keep |= set(second[-(MOST - len(keep)) :])
    return [rows[i] for i in sorted(keep)]


def _cells(row: Row, below: str, *, several: bool) -> tuple[str, ...]:
    c = row.checkpoint
    counter = f"{c.step:,}" if c.step is not None else f"ep {c.epoch:g}" if c.epoch is not None else "?"
    name = c.path[len(below) :] + (f"  [{row.stage}]" if several and not below else "")
    finite = "" if c.finite is None or not c.tensors else "yes" if c.finite else "NO"
    changed = "" if row.changed is None else f"{100 * row.changed:.3g} %"
    resume = " ".join(MARKS[p] for p in row.resume)
    return (
        counter,
        name,
        _size(c.bytes),
        f"{len(c.tensors):,}",
        _parameters(c.parameters),
        finite,
        changed,
        resume,
        _usable(row),
    )


def _usable(row: Row) -> str:
    c = row.checkpoint
    if row.writing:
        return "being written"
    if row.copy_of:
        return "a copy"
    if c.problems:
        names = list(dict.fromkeys(p.name.removesuffix("-checkpoint") for p in c.problems))
        return ("NO " if c.usable is False else "? " if c.usable is None else "yes ") + ", ".join(names)
    return "yes"


def _cell(text: str, column: int, width: int) -> str:
    if column in (1, 7, 8):
        return (text if len(text) <= width else "…" + text[1 - width :] if column == 1 else text).ljust(width)
    return text.rjust(width)


def _findings(made: Audit, t: Terminal, *, verbose: bool) -> Iterator[str]:
    for f in made.findings:
        yield t.paint(f"{f.severity}  {f.rule} {f.name}", f.severity) + (f"  [{t.plain(f.stage)}]" if f.stage else "")
        yield from t.wrap(f.message, indent=4)
        for m in f.evidence if verbose else ():
            yield from t.wrap(
                f"{m.what}: {short(m.value)}"
                + (f" {m.unit}" if m.unit else "")
                + (f"  ({m.where})" if m.where else ""),
                indent=8,
                first=" " * 6,
            )
        if f.innocent:
            yield from t.wrap(f"innocent if: {f.innocent}", indent=4)
        yield ""
    told = {m.where for f in made.findings for m in f.evidence}
    for row in made.rows:
        for problem in row.checkpoint.problems if row.writing or row.checkpoint.path not in told else ():
            yield from t.wrap(f"{row.checkpoint.path}: {problem.message}", indent=4, first="  ")
    if made.report.actions:
        yield t.paint("Do this, in this order", "bold")
        for i, action in enumerate(made.report.actions, 1):
            yield from t.wrap(action.do + (f"  ({action.cost})" if action.cost else ""), indent=5, first=f"  {i}")
        yield ""


def _verified(made: Audit, t: Terminal) -> Iterator[str]:
    if made.verified is None:
        return
    if not made.verified:
        yield "Manifests: every file is as it was written."
    for problem in made.verified:
        yield from t.wrap(f"{problem.name}: {problem.message}", indent=4, first="  ")
    yield ""


def _unchecked(made: Audit, t: Terminal) -> Iterator[str]:
    """Why rules could not decide, said once for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in made.report.checks.not_checked:
        reasons.setdefault((entry.why, entry.unlock), []).append(entry.rule)
    for (why, unlock), rules in reasons.items():
        yield from t.wrap(
            f"Not checked ({', '.join(dict.fromkeys(rules))}): {why}" + (f": {unlock}" if unlock else ""),
            indent=2,
            first="",
        )
    for entry in made.report.checks.crashed:
        yield from t.wrap(f"{entry.rule} {entry.name} crashed: {entry.why} (please report it)", indent=2, first="")


def _size(count: int) -> str:
    for size, unit in UNITS:
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _parameters(count: int) -> str:
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:,}"


def _shared(paths: Sequence[str]) -> str:
    """The folder, with its slash, that all paths lie in."""
    folder = os.path.commonpath(paths) if len(paths) > 1 else ""
    return f"{folder}/" if folder and folder not in paths else ""


def render_difference(made: Difference, terminal: Terminal | None = None) -> str:
    """Relative change of each module, most changed first."""
    t = terminal or Terminal()
    lines = [f"{t.plain(made.before)} {'→' if t.unicode else '->'} {t.plain(made.after)}", ""]
    ordered = sorted(
        made.modules, key=lambda m: (math.isfinite(m.relative), -m.relative if math.isfinite(m.relative) else 0.0)
    )
    width = max((min(48, len(m.name)) for m in ordered), default=6)
    lines.append(
        t.paint(f"{'module'.ljust(width)}  {'tensors':>8}  {'parameters':>12}  {'relative':>9}  {'largest':>9}", "bold")
    )
    for m in ordered[:MODULES]:
        relative = f"{m.relative:.3g}" if math.isfinite(m.relative) else "NaN" if math.isnan(m.relative) else "from 0"
        lines.append(
            t.plain(
                f"{m.name[:width].ljust(width)}  {m.tensors:>8,}  {_parameters(m.parameters):>12}  {relative:>9}  {m.largest:>9.3g}"
            )
        )
    if len(ordered) > MODULES:
        lines.append(f"… {len(ordered) - MODULES} more: --format json")
    lines += [
        "",
        "relative is |b - a| / |a| over the weights of the module, in the 2-norm; largest is the largest change of one weight",
    ]
    for side, names in ((made.before, made.only_before), (made.after, made.only_after)):
        if names:
            lines += t.wrap(
                f"only in {side} (or of another shape): {', '.join(names[:8])}"
                + (f" and {len(names) - 8} more" if len(names) > 8 else ""),
                indent=2,
                first="",
            )
    return t.fit("\n".join(lines).rstrip() + "\n")
