"""`runvet`: the commands, loaded when they are used."""

from __future__ import annotations

import importlib

import click

import runvet
from runvet.cli.common import clear_failures

COMMANDS = {
    "check": "Judge runs: folders, files, globs.",
    "watch": "Judge a run again and again while it grows.",
    "checkpoints": "List every checkpoint: usable or not, what changed, which one to trust.",
    "compare": "Tell how runs differ, and whether one is better.",
    "data": "Profile data or samples, and compare them.",
    "report": "Draw a saved result again, in any format.",
    "export": "Write every metric of any tool as JSON lines, CSV or Parquet.",
    "rules": "List what runvet checks.",
    "explain": "Show one rule's page.",
    "new-rule": "Write a file for a rule of your own.",
}


class Commands(click.Group):
    """A group that imports a command's module only when the command is used, and tells every failure in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's interface)
        """The names in the order of their use, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"runvet.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; no failure of it can be taken for findings."""
        with clear_failures():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list for --help, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(runvet.__version__, prog_name="runvet")
def main() -> None:
    """Vet machine-learning training runs from what they leave behind.

    runvet reads logs, configuration and events of a run without executing any of it, and gives one verdict:
    what is wrong with numbers and steps as evidence, what to do first, and what could not be checked.

    Exit status: 0 sound, 1 findings, 2 could not judge, 130 interrupted.
    """
