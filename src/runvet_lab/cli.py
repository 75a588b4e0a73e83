"""`runvet-lab`: the labs' commands, loaded when they are used."""

from __future__ import annotations

import importlib

import click

import runvet
from runvet_lab.base.extra import MissingExtra

LABS = {
    "voxels": "Text to Minecraft structures, by discrete or continuous diffusion.",
    "worlds": "A playable world model: video tokenizer, latent actions, dynamics.",
    "trajectories": "Vehicle and roadside images to a car's future path.",
    "panoramas": "Panoramas of several cars to depth, pose, scale and mask.",
}


class Labs(click.Group):
    """A group that imports a lab only when it is used, and turns a missing library into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's interface)
        """The names of the labs."""
        return list(LABS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The lab of that name, imported now."""
        if cmd_name not in LABS:
            return None
        try:
            module = importlib.import_module(f"runvet_lab.{cmd_name}.cli")
        except MissingExtra as error:
            raise click.ClickException(str(error)) from None
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith(("runvet", "runvet_lab")):
                raise
            message = f"{error.name} is missing; install it with: pip install 'runvet[lab]'"
            raise click.ClickException(message) from None
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list for --help, without importing any lab."""
        with formatter.section("Labs"):
            formatter.write_dl(list(LABS.items()))


@click.command(cls=Labs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(runvet.__version__, prog_name="runvet-lab")
def main() -> None:
    """Train, use and break small reference systems; `runvet check` must judge every run rightly."""
