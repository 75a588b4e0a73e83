"""`runvet watch`."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runvet.cli.common import standard_output
from runvet.cli.paths import LocalPath

if TYPE_CHECKING:
    from runvet.render.terminal import Terminal
    from runvet.report import Report
    from runvet.watch import Change, Watcher

QUIET = 60.0  # seconds between two lines of progress where they stay, in a file or pipe
REPORT = "RUNVET_REPORT"


@click.command("watch")
@click.argument("path", type=LocalPath())
@click.option(
    "--interval", type=click.FloatRange(min=0.05), default=10.0, show_default=True, help="Seconds between two looks."
)
@click.option(
    "--stall",
    type=click.FloatRange(min=0),
    default=900.0,
    show_default=True,
    help="Seconds without anything new that are called a stall (at least 10 of the run's own intervals).",
)
@click.option("--once", is_flag=True, help="Look once, then end.")
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="End after so many seconds.")
@click.option(
    "--until", type=click.Choice(["critical", "stalled"]), help="End at the first critical finding, or at a stall."
)
@click.option(
    "--exec",
    "command_line",
    metavar="CMD",
    help=f"Run this once, at the first critical finding, without a shell; {REPORT} names the JSON report.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["critical", "warning", "never"]),
    default="warning",
    show_default=True,
    help="Lowest finding that gives exit status 1.",
)
@click.option(
    "--select", multiple=True, metavar="RULES", help="Only these rules: codes, names or families, comma-separated."
)
@click.option("--ignore", multiple=True, metavar="RULES", help="Leave these rules out.")
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Use this runvet.toml.")
def command(
    path: Path, interval: float, stall: float, once: bool, seconds: float | None, until: str | None, command_line: str | None,
    fail_on: str, select: tuple[str, ...], ignore: tuple[str, ...], config_file: Path | None,
) -> None:  # fmt: skip
    """Judge the run at PATH again and again while it grows, and say what changes.

    Only what is new is read. Ends when the run says that it has finished or all planned steps are done, on Ctrl-C,
    or as told; the exit status is that of `runvet check` on the last look, where a stall that lasts is a warning.
    """
    from runvet.cli.check import configured, known
    from runvet.watch import Watcher

    try:
        words = shlex.split(command_line) if command_line is not None else []
    except ValueError as error:
        raise click.UsageError(f"--exec: {error}") from None
    if command_line is not None and not words:
        raise click.UsageError("--exec: no command")
    known({"--select": select, "--ignore": ignore})
    watcher = Watcher(path, configured(path, config_file, select, ignore), stall)
    with tempfile.TemporaryDirectory(prefix="runvet-") as folder:
        screen = _Screen(watcher, _Alarm(words, Path(folder, "report.json")))
        screen.watch(interval, 0.0 if once else seconds, until)
    sys.exit(screen.finish(fail_on))


class _Alarm:
    """A command that is run once, at the first critical finding."""

    def __init__(self, words: Sequence[str], file: Path) -> None:
        self.words, self.file = words, file
        self.process: subprocess.Popen[bytes] | None = None

    def sound(self, report: Report) -> None:
        """Start the command if it was not yet. It gets nothing of the run but the path of the report."""
        if not self.words:
            return
        from runvet.render import json

        words, self.words = self.words, ()
        self.file.write_text(json.render([report]), encoding="utf-8")
        try:
            self.process = subprocess.Popen(words, env={**os.environ, REPORT: str(self.file)}, stdin=subprocess.DEVNULL)  # noqa: S603
        except OSError as error:
            click.echo(f"runvet: --exec: {error}", err=True)

    def end(self) -> None:
        """Wait for the command, so that its report is there as long as it runs."""
        if self.process is not None and self.process.wait() != 0:
            click.echo(f"runvet: --exec: the command ended with status {self.process.returncode}", err=True)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C ends a look at once, and is remembered: an exception that lands in a callback is lost otherwise."""
    came = threading.Event()

    def told(*_: object) -> None:
        came.set()
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, told)
    except ValueError:  # not the main thread: signals are somebody else's
        yield came
        return
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


class _Screen:
    """Tells of every look, and ends the watch."""

    def __init__(self, watcher: Watcher, alarm: _Alarm) -> None:
        from runvet.render.terminal import Terminal

        self.watcher, self.alarm = watcher, alarm
        self.terminal: Terminal = Terminal.of(standard_output())
        self.live = standard_output().isatty()
        self.progress, self.drawn = "", 0.0
        self.stalled = False  # now

    def watch(self, interval: float, seconds: float | None, until: str | None) -> None:
        """Look every `interval` seconds until the run ends, the time is over or Ctrl-C."""
        start = time.monotonic()
        with _interrupts() as interrupted:
            try:
                while not interrupted.is_set():
                    over = self.look(waiting=seconds != 0.0, until=until)
                    left = None if seconds is None else seconds - (time.monotonic() - start)
                    if over or (left is not None and left <= 0):
                        break
                    interrupted.wait(interval if left is None else min(interval, left))
            except KeyboardInterrupt:
                interrupted.set()
            if interrupted.is_set():
                self.say("interrupted")
        self.alarm.end()

    def look(self, *, waiting: bool, until: str | None) -> bool:
        """One look; gives whether the watch is over."""
        try:
            change = self.watcher.look()
        except FileNotFoundError:
            if not waiting or self.watcher.report is not None:
                raise
            self.step(f"waiting for {self.terminal.plain(str(self.watcher.root))}")
            return False
        self.tell(change)
        self.stalled = change.stalled is not None or (self.stalled and not change.grown and not change.ended)
        critical = any(f.severity == "critical" for f in change.report.findings)
        if critical:
            self.alarm.sound(change.report)
        if change.ended:
            self.say(change.ended)
        return bool(change.ended) or (critical and until == "critical") or (self.stalled and until == "stalled")

    def tell(self, change: Change) -> None:
        """The lines of one look."""
        from runvet.render.numbers import duration, short

        t = self.terminal
        for finding in change.new:
            since = f" (since step {short(finding.since_step)})" if finding.since_step is not None else ""
            where = f" {t.plain(finding.stage)}:" if finding.stage and len(change.report.stages) > 1 else ""
            message = t.plain(finding.message).replace("\n", " ")
            self.say(
                f"+ {t.paint(finding.severity, finding.severity)} {finding.rule} {finding.name}:{where} {message}{since}"
            )
        for finding in change.gone:
            self.say(f"- gone: {finding.severity} {finding.rule} {finding.name}")
        if change.before is not None:
            arrow = "→" if t.unicode else "->"
            self.say(f"verdict: {change.before} {arrow} {t.paint(change.report.verdict, change.report.verdict)}")
        if change.grown:
            self.step(f"{_progress(change, t)}  {change.report.verdict}")
        if change.stalled is not None:
            self.say(f"! stalled: nothing new for {duration(change.stalled)}")

    def say(self, text: str) -> None:
        """A line that stays."""
        erase = "\r\x1b[K" if self.live else ""
        sys.stdout.write(f"{erase}{time.strftime('%H:%M:%S')}  {self.terminal.fit(text)}\n")
        if self.live and self.progress:
            sys.stdout.write(self.progress)
        sys.stdout.flush()

    def step(self, text: str) -> None:
        """A line of progress: drawn over on a terminal, now and then elsewhere."""
        now = time.monotonic()
        if self.live:
            self.progress = f"\r\x1b[K{text[: self.terminal.width]}"
            sys.stdout.write(self.progress)
            sys.stdout.flush()
        elif not self.drawn or now - self.drawn >= QUIET:
            self.drawn = now
            self.say(text)

    def finish(self, fail_on: str) -> int:
        """Draw the last report; gives the exit status."""
        from runvet.cli.check import status
        from runvet.cli.drawing import deliver, draw

        report = self.watcher.report
        if report is None:
            click.echo(f"runvet: {self.watcher.root}: nothing was there to judge", err=True)
            return 2
        if self.live:
            sys.stdout.write("\r\x1b[K")
        deliver("\n" + draw("text", [report]), None)
        found = status(report, fail_on, ())
        if not self.stalled:
            return found
        self.say("the run has stalled: it does not grow, and does not say that it has finished")
        return max(found, 1) if fail_on == "warning" else found


def _progress(change: Change, t: Terminal) -> str:
    """`step 1,200 of 10,000   train/loss 2.31   3.2 step/s, 46 min to go`."""
    from runvet.render.numbers import duration, exact, short

    stage = change.stage
    if stage is None or stage.steps.last is None:
        return "no metrics yet"
    parts = [
        f"{stage.steps.axis} {short(stage.steps.last)}"
        + (f" of {short(stage.steps.planned)}" if stage.steps.planned else "")
    ]
    lead = next((s for s in stage.series if s.name == stage.lead), None)
    if lead is not None:
        parts.append(f"{t.plain(lead.name)} {exact(lead.last)}")
    if stage.speed.get("recent"):
        left = stage.eta_s.get("recent")
        parts.append(
            f"{short(stage.speed['recent'])} {stage.speed['unit']}" + (f", {duration(left)} to go" if left else "")
        )
    if len(change.report.stages) > 1:
        parts.insert(0, t.plain(stage.name))
    return "  ".join(parts)
