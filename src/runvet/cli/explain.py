"""`runvet explain`."""

from __future__ import annotations

import click

from runvet.cli.common import fail


@click.command("explain")
@click.argument("rule")
def command(rule: str) -> None:
    """Show the page of one RULE, by its code or name."""
    from runvet import pages

    try:
        click.echo(pages.page(pages.find(rule)))
    except KeyError as error:
        fail(str(error.args[0]))
