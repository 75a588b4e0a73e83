"""`runvet-lab voxels`: train, sample, sweep and judge; the commands for structures stand in `cli_data`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from runvet_lab.base.commands import FOLDER, OLD, plain_errors
from runvet_lab.base.config import load
from runvet_lab.base.extra import need
from runvet_lab.voxels.cli_data import COMMANDS

need("torch")
need("scipy")


@click.group()
def command() -> None:
    """Text to Minecraft structures, by discrete or continuous diffusion."""


for _each in COMMANDS:
    command.add_command(_each)


@command.command()
@click.option(
    "--config",
    "names",
    multiple=True,
    default=("normal",),
    show_default=True,
    help="Names or YAML files, later ones win.",
)
@click.option("--data", "source", type=OLD, help="Folder of structures; else `data.folder` of the configuration.")
@click.option("--out", type=FOLDER, required=True, help="Run folder.")
@click.option("--resume", is_flag=True, help="Go on from the last trusted checkpoint.")
@click.option("--device", default="", help="cpu, cuda, mps; else what there is.")
@click.argument("pairs", nargs=-1)
def train(
    names: tuple[str, ...], source: Path | None, out: Path, resume: bool, device: str, pairs: tuple[str, ...]
) -> None:
    """Train a model. PAIRS such as train.learning_rate=5e-4 change the configuration."""
    from runvet_lab.voxels import metrics
    from runvet_lab.voxels.config import Config, named
    from runvet_lab.voxels.run_folder import read_config
    from runvet_lab.voxels.train import Trainer

    with plain_errors():
        if resume:
            config = read_config(out)
        else:
            more = [f"data.folder={source}"] if source else []
            config = load(Config, [named(name) for name in names], [*more, *pairs])
        if device:
            config.launch.accelerator = device
        trainer = Trainer(config, out, click.echo)
        result = trainer.run(resume=resume)
    if not trainer.fabric.is_global_zero:
        return
    why = {"patience": "no better for as long as configured", "signal": "asked to stop"}.get(result.stopped, "done")
    click.echo(f"{why} at step {result.step:,} after {result.seconds:.0f} s; judge it with: runvet check {out}")
    if result.quality:
        click.echo(metrics.table(result.quality))


@command.command()
@click.argument("run", type=OLD)
@click.option("--prompt", "prompts", multiple=True, help="What to build; may be given several times.")
@click.option("--count", default=4, show_default=True, help="Structures for each prompt.")
@click.option("--out", type=FOLDER, required=True)
@click.option("--checkpoint", default="best", show_default=True, help="best, last, or a step.")
@click.option("--seed", default=0, show_default=True)
@click.option("--steps", type=int, help="Sampling steps.")
@click.option("--temperature", type=float)
@click.option("--guidance", type=float)
@click.option("--order", type=click.Choice(["random", "confidence"]))
@click.option("--device", default="auto", show_default=True)
def sample(
    run: Path, prompts: tuple[str, ...], count: int, out: Path, checkpoint: str, seed: int, steps: int | None,
    temperature: float | None, guidance: float | None, order: str | None, device: str,
) -> None:  # fmt: skip
    """Build structures from prompts with a trained model."""
    from runvet_lab.voxels import data, metrics, run_folder
    from runvet_lab.voxels.trained import open_run

    with plain_errors():
        if not prompts or count < 1:
            raise click.UsageError("give at least one --prompt, and a --count of at least 1")
        trained = open_run(run, checkpoint, device)
        given: dict[str, Any] = {
            "num_inference_steps": steps,
            "temperature": temperature,
            "guidance_scale": guidance,
            "order": order,
        }
        trained.config.sampling = replace(trained.config.sampling, **{k: v for k, v in given.items() if v is not None})
        wanted = [prompt for prompt in prompts for _ in range(count)]
        begun = time.perf_counter()
        with click.progressbar(length=len(wanted), label="structures") as bar:
            grids = trained.sample(wanted, seed=seed, progress=bar.update)
        seconds = time.perf_counter() - begun
        known = sorted(set(data.read(run / "dataset").labels)) if (run / "dataset").is_dir() else []
        labels = [next((label for label in known if label in prompt.lower()), "structure") for prompt in wanted]
        facts = run_folder.facts(trained.config, seed)
        place = run_folder.write_samples(out, trained.step, grids, labels, wanted, facts)
    click.echo(f"{len(grids)} structures of step {trained.step:,} in {place} ({seconds:.1f} s)")
    for prompt, grid in zip(wanted, grids, strict=True):
        made = metrics.shape(grid)
        click.echo(
            f"  {made.solids:>6} blocks, largest part {made.connected:.2f}, floating {made.floating:.2f}: {prompt}"
        )


@command.command()
@click.argument("run", type=OLD)
@click.option("--data", "source", type=OLD, help="Structures to compare with; else those beside the run.")
@click.option("--each", default=8, show_default=True, help="Samples of each class.")
@click.option("--vary", multiple=True, help="Such as guidance_scale=1,2; several options are combined.")
@click.option("--seed", default=0, show_default=True)
def sweep(run: Path, source: Path | None, each: int, vary: tuple[str, ...], seed: int) -> None:
    """Rank checkpoints (and settings) by the quality of their samples."""
    from runvet_lab.voxels import data, metrics
    from runvet_lab.voxels import sweep as sweeps

    with plain_errors():
        known, held = data.splits(source or run / "dataset")
        reference = metrics.Reference(known, held)
        ranked = sweeps.sweep(
            run,
            known,
            reference,
            each=each,
            variants=sweeps.variants(vary),
            seed=seed,
            told=lambda e: click.echo(sweeps.line(e), err=True),
        )
    for place, entry in enumerate(ranked, 1):
        click.echo(sweeps.line(entry, place))
    click.echo(metrics.table(ranked[0].quality))


@command.command()
@click.argument("folders", type=OLD, nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, help="A .png file.")
@click.option("--each", default=8, show_default=True, help="Structures of each folder, evenly.")
def picture(folders: tuple[Path, ...], out: Path, each: int) -> None:
    """Draw structures of one or more folders, a row for each folder."""
    import numpy as np

    from runvet_lab.voxels import data
    from runvet_lab.voxels.picture import sheet

    with plain_errors():
        rows = []
        for folder in folders:
            grids = data.read(folder).grids
            pick = np.unique(np.linspace(0, len(grids) - 1, min(each, len(grids))).astype(int))
            rows.append((str(folder), grids[pick]))
        sheet(out, rows)
    click.echo(f"{sum(len(grids) for _, grids in rows)} structures in {out}")


def _labs() -> Any:
    from runvet_lab.voxels import judged

    return judged


@command.command()
@click.option("--out", type=FOLDER, required=True)
@click.option("--only", default="", help="Names of configurations, with commas; all.")
@click.option("--seed", default=0, show_default=True, help="Of the data and the trainings.")
@click.option("--markdown", type=FOLDER, help="Write the table here too.")
def judge(out: Path, only: str, seed: int, markdown: Path | None) -> None:
    """Train healthy and sick configurations, and compare what `runvet check` says with what was expected."""
    from runvet_lab.base import judged as tables

    with plain_errors():
        rows = _labs().run(out, tuple(name.strip() for name in only.split(",") if name.strip()), seed=seed)
        if markdown is not None:
            markdown.write_text(tables.markdown(rows), encoding="utf-8")
    if not all(row.met for row in rows):
        raise click.exceptions.Exit(1)


@command.command()
@click.option("--out", type=FOLDER, default=Path("voxels-demo"), show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--config", "name", default="demo", show_default=True)
def demo(out: Path, seed: int, name: str) -> None:
    """All in one: generate structures, train a small model, sample, and write a page to turn the samples around."""
    from runvet_lab.voxels import metrics, sets
    from runvet_lab.voxels.config import Config, named
    from runvet_lab.voxels.train import Trainer

    with plain_errors():
        if out.exists() and any(out.iterdir()):
            raise click.ClickException(f"{out} is not empty; choose another folder with --out")
        made, held = sets.write(out / "data", 2000, seed=seed)
        click.echo(f"{made} structures to train on and {held} others in {out / 'data'}")
        config = load(Config, [named(name)], [f"data.folder={out / 'data'}", f"train.seed={seed}"])
        result = Trainer(config, out / "run", click.echo).run()
        click.echo(metrics.table(result.quality))
        last = out / "run" / "samples" / f"step_{result.step:06d}"
        page = out / "samples.html"
        from runvet_lab.voxels import view

        view.write(page, last)
    click.echo(f"trained {result.seconds:.0f} s; samples in {last}; open {page} to turn them around")
    click.echo(f"judge the run with: runvet check {out / 'run'}")
