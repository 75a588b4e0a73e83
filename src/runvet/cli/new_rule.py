"""`runvet new-rule`."""

from __future__ import annotations

from pathlib import Path

import click

from runvet.cli.common import fail


@click.command("new-rule")
@click.argument("code")
@click.argument("name")
@click.option(
    "--level",
    type=click.Choice(["critical", "warning"]),
    default="warning",
    show_default=True,
    help="Worst level that it may give.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write the file (default: here).",
)
def command(code: str, name: str, level: str, folder: Path) -> None:
    """Write a running rule with examples, CODE and NAME as given: a file to change, not to start from nothing."""
    from runvet import engine, pages

    try:
        text = pages.template(code, name, level)
    except ValueError as error:
        fail(str(error))
    clash = next((r for r in engine.collect() if code == r.code or name == r.name), None)
    if clash is not None:
        fail(f"{clash.code} {clash.name} exists; `runvet rules` lists what is taken")
    path = folder / (name.replace("-", "_") + ".py")
    if path.exists():
        fail(f"{path} exists")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    click.echo(f"{path} written: change it, then make its package an entry point of the group runvet.rules")
