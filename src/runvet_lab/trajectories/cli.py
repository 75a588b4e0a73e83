"""`runvet-lab trajectories`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from runvet_lab.base import commands
from runvet_lab.base.commands import FOLDER, OLD, plain_errors
from runvet_lab.base.config import load
from runvet_lab.trajectories.config import Config

RECIPES = Path(__file__).parent / "recipes"


def recipe(name: str) -> Path:
    """A recipe by its name, or a file. Raises ConfigProblem."""
    return commands.recipe(RECIPES, name)


@click.group("trajectories")
def command() -> None:
    """Vehicle and roadside pictures, and a text, to a car's path of the next 4.5 seconds."""


@command.command()
@click.option("--out", type=FOLDER, required=True)
@click.option("--scenes", default=240, show_default=True)
@click.option("--format", "form", type=click.Choice(["derived", "dair"]), default="derived", show_default=True)
@click.option(
    "--targets",
    default="ego",
    show_default=True,
    help="ego, first_car, world, wrong_yaw, heading_from_step, cross_batch",
)
@click.option("--split", type=click.Choice(["scene", "frame"]), default="scene", show_default=True)
@click.option("--seed", default=0, show_default=True)
def make(out: Path, scenes: int, form: str, targets: str, split: str, seed: int) -> None:
    """Generate junction scenes, in the tree of V2X-VLM (derived) or of DAIR-V2X (dair, 10 pictures a second)."""
    from runvet_lab.trajectories import dair, loading, world
    from runvet_lab.trajectories.config import Data

    with plain_errors():
        if form == "dair":
            click.echo(f"{dair.write(out, world.simulate(scenes, seed), seed)} frames in {out}")
            return
        loading.generate(out, Data(scenes=scenes, targets=targets, split=split), seed)
        count = len(list((out / "ground_truth_trajectories").iterdir()))
        click.echo(f"{count} samples of {scenes} scenes in {out}")


@command.command()
@click.argument("path", type=OLD)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--plots", type=FOLDER, help="Also write a page of plots here.")
def stats(path: Path, form: str, plots: Path | None) -> None:
    """Tell what the paths of a data set look like, and what to do about it."""
    from runvet_lab.trajectories import plots as drawn
    from runvet_lab.trajectories import samples
    from runvet_lab.trajectories import stats as facts

    with plain_errors():
        found = {
            name: samples.read(path, name, skip=True)
            for name in ("train", "val")
            if (path / "split" / f"{name}.txt").exists()
        }
        if "train" not in found:
            raise samples.DataProblem(f"{path}: no split/train.txt")
        described, said = facts.describe(found), facts.advice(found)
        if plots is not None:
            plots.write_text(drawn.page(path.resolve().name, found, described, said), encoding="utf-8")
    if form == "json":
        click.echo(json.dumps({**described, "advice": said}, indent=1))
        return
    for name, value in described.items():
        for key, one in value.items() if isinstance(value, dict) else [("", value)]:
            shown = f"{one:.4g}" if isinstance(one, float) else one
            click.echo(f"{f'{name}: {key}' if key else name:<64} {shown}")
    for number, words in enumerate(said, 1):
        click.echo(f"{number}  {words}")


@command.command()
@click.option("--data", type=OLD, help="Folder of `make`; without it, scenes are generated into the run.")
@click.option("--recipe", "name", default="healthy", show_default=True, help="A recipe's name, or a YAML file.")
@click.option("--out", type=FOLDER, required=True, help="Run folder.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint.")
@click.argument("pairs", nargs=-1)
def train(data: Path | None, name: str, out: Path, resume: bool, pairs: tuple[str, ...]) -> None:
    """Train a recipe; PAIRS such as train.epochs=5 change it. Evaluates the best checkpoint at the end."""
    with plain_errors():
        run(recipe(name), out, [*pairs, *([f"data.root={data}"] if data else [])], resume=resume)


@command.command("eval")
@click.argument("path", type=OLD)
@click.option("--checkpoint", default="best", show_default=True, help="best, last, or a step.")
def evaluate_(path: Path, checkpoint: str) -> None:
    """Evaluate a run: predictions.npz and metrics.json."""
    from runvet_lab.trajectories.evaluate import evaluate

    with plain_errors():
        for key, value in evaluate(path, checkpoint=checkpoint).items():
            click.echo(f"{key:<32} {value:.4f}")


@command.command()
@click.argument("path", type=OLD)
@click.option("--out", type=FOLDER, default=None, help="The page; PATH/view.html without it.")
@click.option("--count", default=60, show_default=True, help="Samples that are shown, evenly from worst to best.")
def view(path: Path, out: Path | None, count: int) -> None:
    """Write one offline page: paths in plan view, both pictures, texts, errors by horizon."""
    from runvet_lab.trajectories.view import page

    with plain_errors():
        target = out or path / "view.html"
        target.write_text(page(path, count), encoding="utf-8")
        click.echo(str(target))


@command.command()
@click.option("--out", type=FOLDER, default=Path("trajectories-demo"), show_default=True)
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
def demo(out: Path, opened: bool) -> None:
    """Generate, train, evaluate and draw, with the healthy recipe."""
    from runvet_lab.trajectories.view import page

    with plain_errors():
        found = run(recipe("healthy"), out, [])
        (out / "view.html").write_text(page(out, 60), encoding="utf-8")
    baseline = found["val/ade_constant_velocity"]
    click.echo(
        f"ADE {found['val/ade']:.2f} m (constant velocity {baseline:.2f} m), L2 at 4.5 s {found['val/l2_at_4.5s']:.2f} m"
    )
    click.echo(f"Look: {out / 'view.html'}    Judge: runvet check {out}")
    if opened:
        click.launch(str(out / "view.html"))


@command.command()
@click.argument("names", nargs=-1)
@click.option("--out", type=FOLDER, help="Keep the runs here.")
@click.option("--table", type=FOLDER, help="Also write the table as Markdown.")
@click.option("--short", is_flag=True, help="Fewer scenes and epochs: minutes instead of half an hour.")
def judge(names: tuple[str, ...], out: Path | None, table: Path | None, short: bool) -> None:
    """Train recipes (all without NAMES), have runvet judge them, and compare with what is expected."""
    pairs = ["data.scenes=72", "launch.threads=1"] if short else []
    with plain_errors():
        paths = [recipe(name) for name in names] or [p for p in sorted(RECIPES.glob("*.yaml")) if p.stem != "gpu"]
    commands.judge(paths, lambda path, folder: run(path, folder, pairs), out, table)


def run(path: Path, out: Path, pairs: list[str], *, resume: bool = False) -> dict[str, float]:
    """Train a recipe into a folder and evaluate it; the metrics."""
    from runvet_lab.trajectories.evaluate import evaluate
    from runvet_lab.trajectories.train import train as trained

    trained(load(Config, [path], pairs), out, resume=resume)
    return evaluate(out)
