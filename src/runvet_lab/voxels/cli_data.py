"""Commands for structures: make them, repair them, take them into the game, look at them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from runvet_lab.base.commands import FOLDER, plain_errors
from runvet_lab.voxels import data
from runvet_lab.voxels.data import DataSet
from runvet_lab.voxels.structure import Structure

OLD = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--out", type=FOLDER, required=True, help="Folder for `train` and `val`.")
@click.option("--count", default=800, show_default=True, help="Structures to train on.")
@click.option("--held-out", default=160, show_default=True, help="Further structures, none of them among the first.")
@click.option("--size", type=click.Choice(["normal", "big", "huge"]), default="normal", show_default=True)
@click.option(
    "--classes", default="", help="Of tree, house, wall, pyramid, tower, bridge, arch, cube: with commas; all."
)
@click.option("--air", default=0, show_default=True, help="Code of air in the files: 0 or 255.")
@click.option("--seed", default=0, show_default=True)
@click.option("--founding", is_flag=True, help="The four fixed structures of the founding case instead.")
def make(out: Path, count: int, held_out: int, size: str, classes: str, air: int, seed: int, founding: bool) -> None:
    """Generate structures with prompts, each one connected and on the ground, no two alike."""
    from runvet_lab.voxels import generate as made
    from runvet_lab.voxels import sets

    with plain_errors():
        if founding:
            click.echo(f"{data.write(out, made.founding(made.SIZES[size]))} structures in {out}")
            return
        names = tuple(name.strip() for name in classes.split(",") if name.strip()) or made.CLASSES
        trained, held = sets.write(
            out, count + held_out, size=made.SIZES[size], classes=names, held_out=held_out, air=air, seed=seed
        )
    click.echo(f"{trained} structures in {out / 'train'}, {held} others in {out / 'val'}")
    if trained < count:
        click.echo(f"only {trained} of {count}: the classes and the size allow no more different ones", err=True)


@click.command("ask")
@click.argument("wishes", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", type=FOLDER, required=True)
@click.option("--model", required=True, help="Name of the model at the endpoint.")
@click.option("--base-url", help="Address of the endpoint; else OPENAI_BASE_URL, else OpenAI's own.")
@click.option("--size", type=click.Choice(["normal", "big", "huge"]), default="normal", show_default=True)
@click.option("--attempts", default=3, show_default=True, help="Answers of one wish that are audited before giving up.")
@click.option(
    "--price", type=(float, float), default=(0.0, 0.0), help="Per million tokens in and out, to show the cost."
)
def ask(
    wishes: Path, out: Path, model: str, base_url: str | None, size: str, attempts: int, price: tuple[float, float]
) -> None:
    """Have a language model build one structure for each line of WISHES; a second call goes on where it stopped."""
    from runvet_lab.voxels import language_model
    from runvet_lab.voxels.generate import SIZES

    with plain_errors():
        try:
            endpoint = language_model.client(base_url)
        except language_model.NoKey as error:
            raise click.ClickException(str(error)) from None
        lines = language_model.wishes_from(wishes)
        with click.progressbar(length=len(lines), label="structures") as bar:

            def told(done: int, spent: language_model.Spent) -> None:
                bar.label = f"structures ({spent.tokens_in + spent.tokens_out:,} tokens, cost {spent.cost(*price):.4f})"
                bar.update(done - bar.pos)

            spent, failed = language_model.collect(
                endpoint, out, lines, model=model, size=SIZES[size], attempts=attempts, told=told
            )
    click.echo(f"{spent.requests} requests, {spent.refused} answers refused, {spent.cost(*price):.4f} spent; in {out}")
    for wish in failed:
        click.echo(f"no acceptable structure for: {wish}", err=True)


@click.command()
@click.argument("path", type=OLD)
@click.option("--against", type=OLD, help="Compare with these structures, class by class.")
@click.pass_context
def stats(context: click.Context, path: Path, against: Path | None) -> None:
    """Profile structures: the same as `runvet data`."""
    from runvet.cli.data import command

    context.invoke(command, path=path, against=against)


@click.command()
@click.argument("path", type=OLD)
@click.option("--out", type=FOLDER, required=True)
@click.option("--steps", default="drop-floating", show_default=True, help="Of drop-floating, largest, connect, fill.")
def post(path: Path, out: Path, steps: str) -> None:
    """Repair structures, and tell what was there before and after. A run is judged by its raw samples, not by these."""
    from runvet_lab.voxels.post import repair

    with plain_errors():
        chosen = [step.strip() for step in steps.split(",") if step.strip()]
        found = [(one, *repair(one.voxels, chosen)) for one in structures(path)]
        data.write(out, [replace(one, voxels=grid) for one, grid, _, _ in found])
    click.echo(f"{'structure':<16} {'blocks':>13} {'parts':>9} {'largest part':>15} {'floating':>15}")
    for one, _, before, after in found:
        click.echo(
            f"{one.name:<16} {before.solid:>5} -> {after.solid:<4} {before.parts:>3} -> {after.parts:<2} "
            f"{before.largest:>6.2f} -> {after.largest:.2f} {before.floating:>7.2f} -> {after.floating:.2f}"
        )


@click.command()
@click.argument("path", type=OLD)
@click.option("--out", type=FOLDER, required=True, help="Folder for one .schem a structure.")
def export(path: Path, out: Path) -> None:
    """Write structures as Sponge schematics, which WorldEdit and others load into the game."""
    from runvet_lab.voxels import schematics

    with plain_errors():
        out.mkdir(parents=True, exist_ok=True)
        found = structures(path)
        for one in found:
            schematics.save(one, out / f"{one.name}.schem")
        click.echo(f"{len(found)} schematics in {out}")


@click.command()
@click.argument("path", type=OLD)
@click.option("--out", type=FOLDER, default=None, help="The page; PATH.html without it.")
def view(path: Path, out: Path | None) -> None:
    """Write an offline page to turn structures around."""
    from runvet_lab.voxels import view as page

    with plain_errors():
        target = out or path.with_name(f"{path.name}.html")
        page.write(target, path)
        click.echo(str(target))


def structures(path: Path) -> list[Structure]:
    """The structures of a folder, or of its `train` where it has one. Raises DataProblem."""
    found: DataSet = data.read(path / "train" if (path / "train").is_dir() else path)
    rows = zip(found.grids, found.labels, found.prompts, found.names, strict=True)
    return [Structure(grid, label, prompt, name) for grid, label, prompt, name in rows]


COMMANDS = (make, ask, stats, post, export, view)
