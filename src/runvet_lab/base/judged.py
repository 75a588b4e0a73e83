"""The table of a lab: every configuration is trained for real, and runvet's verdict compared with what was expected."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

import runvet
from runvet.report import Report


@dataclass(frozen=True, slots=True)
class Expected:
    """What a configuration's run must be judged as; written under `expect:` in its YAML file.

    `first`: codes or names of rules, one of which must be the first finding (empty: no critical finding at all).
    `never`: rules that must not appear. `verdict`: words that are allowed. `why`: what was done to the run.
    `tempting`: the wrong explanation; none of these words may stand in the first action.
    """

    first: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()
    tempting: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    expected: Expected
    verdict: str
    first: str
    message: str
    seconds: float  # by the clock
    processor: float  # seconds of all cores, finished subprocesses included
    wrong: tuple[str, ...]  # what was not as expected

    @property
    def met(self) -> bool:
        """Whether everything was as expected."""
        return not self.wrong


def expected(path: Path) -> Expected:
    """The `expect:` part of a configuration file. Raises ValueError for unknown keys."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    part = dict(content.get("expect") or {})
    why = str(part.pop("why", ""))
    lists = {key: _words(part.pop(key, ())) for key in ("first", "never", "verdict", "tempting")}
    if part:
        raise ValueError(f"{path}: unknown keys under expect: {', '.join(part)}")
    return Expected(**lists, why=why)


def judge(name: str, want: Expected, folder: Path, seconds: float, processor: float = 0.0) -> Row:
    """Judge a run folder and compare; `seconds` by the clock and of the processor are what its training took."""
    report = runvet.check(folder)
    first = report.findings[0] if report.findings else None
    label = f"{first.rule} {first.name}" if first else "-"
    return Row(
        name, want, report.verdict, label, first.message if first else "", seconds, processor, _wrong(want, report)
    )


def table(
    configs: Iterable[Path], train: Callable[[Path, Path], Any], out: Path, *, say: Callable[[str], Any] = click.echo
) -> list[Row]:
    """Train each configuration into `out/<name>`, judge it, and print a line.

    `train(config, folder)` does the training. An error of one configuration is its row, and the others go on.
    """
    rows = []
    for path in configs:
        begun, used = time.perf_counter(), _processor()
        want = expected(path)
        try:
            train(path, out / path.stem)
            row = judge(path.stem, want, out / path.stem, time.perf_counter() - begun, _processor() - used)
        except Exception as error:  # one broken row must not hide the others
            trouble = f"{type(error).__name__}: {error}"
            took = time.perf_counter() - begun, _processor() - used
            row = Row(path.stem, want, "error", "-", trouble, *took, (trouble,))
        say(line(row))
        rows.append(row)
    return rows


def line(row: Row) -> str:
    """One row for a terminal."""
    wanted = " or ".join(row.expected.first) or "no critical finding"
    state = "ok  " if row.met else "MISS"
    text = f"{state} {row.name:<22} {row.seconds:5.0f} s ({row.processor:.0f} CPU)  expected {wanted}; {row.verdict}: {row.first}"
    return text if row.met else text + "".join(f"\n       {wrong}" for wrong in row.wrong)


def markdown(rows: Sequence[Row]) -> str:
    """The table for the documentation."""
    lines = [
        "| configuration | what was done | expected first | `runvet check` said | first finding | as expected | s | CPU-s |",
        "| --- | --- | --- | --- | --- | --- | --: | --: |",
    ]
    for row in rows:
        wanted = " or ".join(f"`{code}`" for code in row.expected.first) or "no critical finding"
        cells = [f"`{row.name}`", row.expected.why, wanted, row.verdict, row.first, "yes" if row.met else "**no**"]
        lines.append(
            "| "
            + " | ".join(cell.replace("|", "\\|") for cell in cells)
            + f" | {row.seconds:.0f} | {row.processor:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _processor() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _wrong(want: Expected, report: Report) -> tuple[str, ...]:
    wrong = []
    if want.verdict and report.verdict not in want.verdict:
        wrong.append(f"verdict is {report.verdict}, not {' or '.join(want.verdict)}")
    found = [{finding.rule, finding.name} for finding in report.findings]
    if want.first and not (found and found[0] & set(want.first)):
        wrong.append(f"first finding is {min(found[0]) if found else 'none'}, not {' or '.join(want.first)}")
    critical = [f"{f.rule} {f.name}" for f in report.findings if f.severity == "critical"]
    if not want.first and critical:
        wrong.append(f"critical: {', '.join(critical)}")
    wrong += [f"{min(names)} must not be said" for names in found if names & set(want.never)]
    action = report.actions[0].do.lower() if report.actions else ""
    wrong += [f"the first action says {words!r}" for words in want.tempting if words.lower() in action]
    return tuple(wrong)


def _words(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(word) for word in value or ())
