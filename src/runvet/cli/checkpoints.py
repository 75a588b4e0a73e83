"""`runvet checkpoints`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runvet.cli.also import FORMATS
from runvet.cli.common import fail
from runvet.cli.drawing import deliver, draw
from runvet.cli.paths import AnyPath

if TYPE_CHECKING:
    from runvet.audit import Audit
    from runvet.checkpoints.places import Place
    from runvet.config import Config


@click.command("checkpoints")
@click.argument("path", default=".", type=AnyPath(), metavar="PATH")
@click.option("--deep", is_flag=True, help="Read all values, however large the files are (small ones are always read).")
@click.option(
    "--diff", nargs=2, metavar="A B", help="Compare the weights of two checkpoints by module; each is a path or a step."
)
@click.option("--verify", "verifying", is_flag=True, help="Compare files with their manifests: sizes and SHA-256.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to draw the result."
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of standard output."
)
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Use this runvet.toml.")
@click.option("--no-cache", is_flag=True, help="Read every file again, and remember nothing.")
@click.option("-v", "--verbose", is_flag=True, help="List every checkpoint, and all of what is wrong with it.")
def command(
    path: str, deep: bool, diff: tuple[str, str] | None, verifying: bool, form: str, output: Path | None, config_file: Path | None,
    no_cache: bool, verbose: bool,
) -> None:  # fmt: skip
    """List every checkpoint at or below PATH (a folder, file or URL; default: here): usable or not, what changed, which one to trust.

    Nothing is executed or unpickled. Exit status: 0 all fine, 1 something is wrong, 2 nothing could be judged.
    """
    from runvet.checkpoints.places import place
    from runvet.checkpoints.problems import Damaged, Unread
    from runvet.config import find, load

    root = place(path)
    try:
        if diff:
            _compare(root, diff, form, output, cache=not no_cache)
            return
        config = load(config_file) if config_file else find(root)
        made = _audited(root, config, deep=deep, cache=not no_cache, verifying=verifying)
        deliver(_drawn(made, form, verbose=verbose, terminal=output is None), output)
    except (LookupError, Damaged, Unread) as error:
        fail(str(error))
    if not made.rows:
        fail(f"{path}: no checkpoint found")
    sys.exit(made.status)


def _audited(path: Place, config: Config, *, deep: bool, cache: bool, verifying: bool) -> Audit:
    """Read and judge, by as many threads as there are processors. Raises OSError, ConfigError."""
    from runvet.auditing import audit
    from runvet.checkpoints.manifest import NoManifest, verify
    from runvet.checkpoints.places import RemotePath
    from runvet.checkpoints.problems import Problem
    from runvet.cli.progress import reading
    from runvet.many import cpus

    with reading(path), ThreadPoolExecutor(cpus()) as executor:
        made = audit(path, config, deep=deep, executor=executor, cache=cache)
        if not verifying:
            return made
        if isinstance(path, RemotePath):
            why = "checksums need every byte, so manifests behind a URL are not compared: copy the run here"
            return replace(made, verified=(Problem("unread-checkpoint", why),))
        try:
            return replace(made, verified=tuple(verify(path)))
        except NoManifest as error:
            return replace(made, verified=(Problem("unread-checkpoint", str(error)),))


def _drawn(made: Audit, form: str, *, verbose: bool, terminal: bool) -> str:
    from runvet.render import checkpoints_json, checkpoints_text
    from runvet.render.terminal import Terminal

    if form == "json":
        return checkpoints_json.render(made)
    if form == "text":
        return checkpoints_text.render(made, Terminal.of(sys.stdout if terminal else None), verbose=verbose)
    return draw(form, [made.report], verbose=verbose, terminal=terminal)


def _compare(path: Place, names: tuple[str, str], form: str, output: Path | None, *, cache: bool) -> None:
    """Write how far two checkpoints are apart. Raises OSError, LookupError, Damaged, Unread."""
    from runvet.checkpoints.listing import list_checkpoints
    from runvet.drift import difference
    from runvet.render import checkpoints_json, checkpoints_text
    from runvet.render.terminal import Terminal

    if form not in ("text", "json"):
        raise click.UsageError("--diff is drawn as text or json")
    made = difference(path, list_checkpoints(path, cache=cache), *names)
    if form == "json":
        deliver(checkpoints_json.render_difference(made), output)
    else:
        deliver(checkpoints_text.render_difference(made, Terminal.of(sys.stdout if output is None else None)), output)
