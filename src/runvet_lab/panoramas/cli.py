"""`runvet-lab panoramas`; also `python -m runvet_lab.panoramas.cli`, for torchrun."""

from __future__ import annotations

from pathlib import Path

import click

from runvet_lab.base import commands
from runvet_lab.base.commands import FOLDER, OLD, plain_errors
from runvet_lab.base.config import load
from runvet_lab.panoramas.config import Config, Tree

RECIPES = Path(__file__).parent / "recipes"
SPLIT = click.Choice(["train", "val", "newtown"])
SOURCE = click.Choice(["pred", "gt"])


def recipe(name: str) -> Path:
    """A recipe by its name, or a file. Raises ConfigProblem."""
    return commands.recipe(RECIPES, name)


@click.group("panoramas")
def command() -> None:
    """Panoramas of several cars to ray depth, relative pose, metric scale and a mask."""


@command.command()
@click.option("--out", type=FOLDER, required=True)
@click.option("--scenarios", default=2, show_default=True, help="Drives of each split.")
@click.option("--agents", default=2, show_default=True)
@click.option("--steps", default=9, show_default=True, help="Moments of a drive, 0.1 s apart.")
@click.option("--every", default=2, show_default=True, help="Every so many moments are written.")
@click.option("--size", default="200x150", show_default=True, help="Columns x rows of a camera.")
@click.option("--depth", type=click.Choice(["ray", "z"]), default="z", show_default=True)
@click.option("--fill", default=1.0, show_default=True, help="Share of pixels that have depth.")
@click.option("--slope", default=4.0, show_default=True, help="Largest roll and pitch in degrees.")
@click.option("--seed", default=0, show_default=True)
def make(
    out: Path, scenarios: int, agents: int, steps: int, every: int, size: str, depth: str, fill: float, slope: float, seed: int
) -> None:  # fmt: skip
    """Generate an OPV2V tree: scenario / agent / frame with poses, rig, four cameras and a parallel depth tree."""
    from runvet_lab.panoramas.stories import write_tree

    with plain_errors():
        width, height = _size(size)
        count = write_tree(out, Tree(scenarios, agents, steps, every, width, height, slope, depth, fill=fill), seed)
    click.echo(f"{count} frames of agents in {out}")


@command.command()
@click.option("--data", type=OLD, required=True, help="An OPV2V tree.")
@click.option("--depth-root", type=OLD, default=None, help="Its depth tree, where that lies elsewhere.")
@click.option("--size", default="84x21", show_default=True, help="Columns x rows of a panorama.")
@click.option("--crop", is_flag=True, help="Cut pictures to the panorama's shape first, as some preprocessing does.")
@click.option("--bilinear", is_flag=True, help="Sample depth between pixels.")
@click.option("--out", type=FOLDER, default=None, help="Also write validate_setup.log, setup.json and the proof here.")
def check(data: Path, depth_root: Path | None, size: str, crop: bool, bilinear: bool, out: Path | None) -> None:
    """Tell what is wrong with a data set: coverage, conventions, axes, depth, masks, views, poses. Exit status 1 if so."""
    from runvet_lab.panoramas.check import check_tree

    with plain_errors():
        columns, rows = _size(size)
        found = check_tree(data, columns=columns, rows=rows, crop=crop, bilinear=bilinear, depth_root=depth_root)
        if out is not None:
            found.write(out)
    for words in [*found.lines, *(f"note: {one}" for one in found.notes), *(f"WRONG: {one}" for one in found.wrong)]:
        click.echo(words)
    if found.wrong:
        raise SystemExit(1)


@command.command()
@click.option("--data", type=OLD, help="An OPV2V tree; without it, exact panoramas are generated into the run.")
@click.option("--recipe", "name", default="healthy", show_default=True, help="A recipe's name, or a YAML file.")
@click.option("--out", type=FOLDER, required=True, help="Run folder.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint.")
@click.option("--world-size-sim", default=0, help="The sampler's arithmetic of so many ranks, on one process.")
@click.argument("pairs", nargs=-1)
def train(data: Path | None, name: str, out: Path, resume: bool, world_size_sim: int, pairs: tuple[str, ...]) -> None:
    """Do what a recipe says; PAIRS such as train.epochs=5 change it. Evaluates the best checkpoint at the end.

    Under torchrun, every process runs this command.
    """
    more = [f"data.root={data}"] if data else []
    more += [f"train.world_size_sim={world_size_sim}"] if world_size_sim else []
    with plain_errors():
        run(recipe(name), out, [*pairs, *more], resume=resume)


@command.command()
@click.argument("path", type=OLD)
@click.option("--checkpoint", default="best", show_default=True, help="best, last, or a step.")
def infer(path: Path, checkpoint: str) -> None:
    """Evaluate a run on every split: eval/ and parity/."""
    from runvet_lab.panoramas.infer import evaluate

    with plain_errors():
        for key, value in evaluate(path, checkpoint=checkpoint).items():
            click.echo(f"{key:<28} {value:.4f}")


@command.command()
@click.argument("path", type=OLD)
@click.option("--checkpoint", default="best", show_default=True, help="best, last, or a step.")
@click.option("--split", type=SPLIT, default="val", show_default=True)
@click.option("--index", default=0, show_default=True, help="Which sample of the split.")
@click.option("--pose-source", type=SOURCE, default="pred", show_default=True)
@click.option("--depth-source", type=SOURCE, default="pred", show_default=True)
@click.option("--out", type=FOLDER, default=None, help="Folder; PATH/render/SPLIT_INDEX without it.")
def render(
    path: Path, checkpoint: str, split: str, index: int, pose_source: str, depth_source: str, out: Path | None
) -> None:
    """Draw a sample: pointcloud.html, panorama.html, pictures of each view, numbers beside baselines, arrays."""
    from runvet_lab.panoramas.render import render as drawn

    with plain_errors():
        target = out or path / "render" / f"{split}_{index}"
        for file in drawn(path, target, checkpoint, split, index, pose_source, depth_source):
            click.echo(str(file))


@command.command()
@click.option("--data", type=OLD, required=True, help="A run folder or an OPV2V tree.")
@click.option("--split", type=SPLIT, default="train", show_default=True)
@click.option("--index", default=0, show_default=True, help="Which moment.")
@click.option("--out", type=FOLDER, default=Path("panorama.html"), show_default=True)
def view(data: Path, split: str, index: int, out: Path) -> None:
    """Write panorama.html of one moment: colours, depth and mask of each car, values under the pointer."""
    from runvet_lab.panoramas.render import preview

    with plain_errors():
        preview(data, split, index, out)
    click.echo(str(out))


@command.command()
@click.option("--out", type=FOLDER, default=Path("panoramas-demo"), show_default=True)
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@click.argument("pairs", nargs=-1)
def demo(out: Path, opened: bool, pairs: tuple[str, ...]) -> None:
    """Generate, check, train, evaluate and draw, with the healthy recipe."""
    from runvet_lab.panoramas.check import check_tree
    from runvet_lab.panoramas.render import render as drawn
    from runvet_lab.panoramas.stories import write_tree

    with plain_errors():
        write_tree(out / "tree", Tree(scenarios=1), 0)
        found = check_tree(out / "tree")
        click.echo(f"An OPV2V tree in {out / 'tree'}: {len(found.wrong)} things wrong")
        numbers = run(recipe("healthy"), out / "run", list(pairs))
        drawn(out / "run", out / "run" / "render" / "val_0", "best", "val", 0, "pred", "pred")
    click.echo(
        f"depth AbsRel {numbers['depth_absrel']:.3f} (baseline {numbers['depth_absrel_baseline']:.3f}), translation "
        f"{numbers['trans_rmse_m']:.2f} m (mean predictor {numbers['trans_rmse_m_baseline']:.2f} m, skill "
        f"{numbers['trans_skill']:.3f}), scale {numbers['scale_ratio']:.3f}, mask IoU {numbers['mask_iou']:.3f}"
    )
    page = out / "run" / "render" / "val_0" / "pointcloud.html"
    click.echo(f"Look: {page}    Judge: runvet check {out / 'run'}")
    if opened:
        click.launch(str(page))


@command.command()
@click.argument("names", nargs=-1)
@click.option("--out", type=FOLDER, help="Keep the runs here.")
@click.option("--table", type=FOLDER, help="Also write the table as Markdown.")
def judge(names: tuple[str, ...], out: Path | None, table: Path | None) -> None:
    """Run recipes (all without NAMES), have runvet judge them, and compare with what is expected."""
    with plain_errors():
        paths = [recipe(name) for name in names] or [p for p in sorted(RECIPES.glob("*.yaml")) if p.stem != "gpu"]
    commands.judge(paths, lambda path, folder: run(path, folder, []), out, table)


def run(path: Path, out: Path, pairs: list[str], *, resume: bool = False) -> dict[str, float]:
    """Do what a recipe says; the metrics of its evaluation."""
    from runvet_lab.panoramas.stories import tell

    return tell(load(Config, [path], pairs), out, resume=resume)


def _size(words: str) -> tuple[int, int]:
    parts = words.split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"{words!r} is not a size such as 200x150")
    return int(parts[0]), int(parts[1])


if __name__ == "__main__":
    command()
