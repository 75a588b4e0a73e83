"""`runvet-lab worlds`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from runvet_lab.base import commands
from runvet_lab.base.commands import FOLDER, OLD, plain_errors
from runvet_lab.base.config import load
from runvet_lab.worlds.config import Config

RECIPES = Path(__file__).parent / "recipes"
LIMIT = 600.0  # seconds that a training with several processes may take in the table


def recipe(name: str) -> Path:
    """A recipe by its name, or a file. Raises ConfigProblem."""
    return commands.recipe(RECIPES, name)


@click.group("worlds")
def command() -> None:
    """Video frames to a playable world: tokenizer, latent actions, dynamics."""


@command.command()
@click.option("--out", type=FOLDER, required=True, help="The file, NAME_frames.h5.")
@click.option("--frames", default=20_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--hold", default=2, show_default=True, help="Steps that an action is held at most.")
@click.option("--video", type=click.Path(path_type=Path, exists=True), help="Take a video's frames instead.")
@click.option("--size", default=64, show_default=True, help="Side of the frames taken from a video.")
@click.option("--fps", default=15.0, show_default=True, help="Frames a second taken from a video.")
def make(out: Path, frames: int, seed: int, hold: int, video: Path | None, size: int, fps: float) -> None:
    """Generate the frames of a tile adventure, or cut them out of a video."""
    from runvet_lab.worlds import adventure, data

    with plain_errors():
        if video is not None:
            click.echo(f"{data.from_video(video, out, size=size, fps=fps)} frames in {out}")
            return
        walk = adventure.walk(frames, seed, hold=(1, hold))
        data.write(out, walk, seed=seed)
        moves = walk.actions > 0
        click.echo(f"{frames} frames in {out}; {walk.visible[moves].mean():.1%} of the moves are visible")


@command.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="A file of `make`; else one is generated.")
@click.option("--recipe", "name", default="healthy", show_default=True, help="A recipe's name, or a YAML file.")
@click.option("--out", type=FOLDER, required=True, help="Run folder.")
@click.option("--stage", "stages", multiple=True, help="video_tokenizer, latent_actions, dynamics; all without it.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoints.")
@click.argument("pairs", nargs=-1)
def train(
    data: Path | None, name: str, out: Path, stages: tuple[str, ...], resume: bool, pairs: tuple[str, ...]
) -> None:
    """Train a recipe; PAIRS such as dynamics.steps=500 change it."""
    from runvet_lab.worlds import pipeline

    more = [f"data.file={data}"] if data else []
    more += [f"stages=[{','.join(stages)}]"] if stages else []
    with plain_errors():
        found = pipeline.train(load(Config, [recipe(name)], [*pairs, *more]), out, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        click.echo(told(found))


@command.command()
@click.argument("run", type=OLD)
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--terminal", is_flag=True, help="Play in the terminal.")
@click.option("--script", "keys", help="Keys of u d l r and . (wait), with --gif.")
@click.option("--gif", type=FOLDER, help="Where the script's walk goes.")
@click.option("--seed", default=0, show_default=True, help="Where to begin.")
@click.option("--threads", default=0, show_default=True)
def play(run: Path, port: int, terminal: bool, keys: str | None, gif: Path | None, seed: int, threads: int) -> None:
    """Play a trained run with the arrow keys: a page on this machine, the terminal, or a script."""
    from runvet_lab.worlds import play as ways
    from runvet_lab.worlds.player import Player

    with plain_errors():
        player = Player(run, seed=seed, threads=threads)
        if keys is not None:
            out = gif or run / "play.gif"
            count = ways.scripted(player, keys, out)
            click.echo(f"{count} frames in {out}; {player.speed:.1f} frames/s")
        elif terminal:
            ways.terminal(player, lambda text: click.echo(text, nl=False))
        else:
            server = ways.serve(player, port)
            click.echo(f"Play at http://127.0.0.1:{server.server_address[1]}/ (Ctrl+C ends)")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                click.echo(f"{player.speed:.1f} frames/s")


@command.command()
@click.argument("run", type=OLD)
@click.option("--presses", default=200, show_default=True)
@click.option("--threads", default=0, show_default=True)
def obey(run: Path, presses: int, threads: int) -> None:
    """Press arrow keys at held-out frames and measure whether the predicted hero goes that way."""
    from runvet_lab.worlds.obey import obedience
    from runvet_lab.worlds.player import Player

    with plain_errors():
        player = Player(run, threads=threads)
        found = obedience(player, run, presses)
    shares = ", ".join(f"{name} {found[name]:.1%}" for name in ("obeyed", "stood", "elsewhere", "lost"))
    click.echo(f"{presses} presses of arrow keys whose way was free: {shares}; {player.speed:.1f} frames/s")


@command.command()
@click.option("--out", type=FOLDER, default=Path("worlds-demo"), show_default=True)
@click.option("--recipe", "name", default="healthy", show_default=True)
@click.option("--no-page", is_flag=True, help="End after the training and a scripted walk.")
@click.argument("pairs", nargs=-1)
@click.pass_context
def demo(ctx: click.Context, out: Path, name: str, no_page: bool, pairs: tuple[str, ...]) -> None:
    """Generate, train all three stages, and open the page to play."""
    from runvet_lab.worlds import pipeline

    with plain_errors():
        click.echo(told(pipeline.train(load(Config, [recipe(name)], list(pairs)), out)))
    try:
        ctx.invoke(obey, run=out, presses=200, threads=0)
    except click.ClickException as problem:  # a real video: nobody knows where its hero is
        click.echo(problem.message)
    ctx.invoke(play, run=out, keys="uuurrrddlll", gif=out / "play.gif", port=0, terminal=False, seed=0, threads=0)
    click.echo(f"Look: {out / 'play.gif'}    Judge: runvet check {out}")
    if not no_page:
        ctx.invoke(play, run=out, keys=None, gif=None, port=0, terminal=False, seed=0, threads=0)


@command.command()
@click.argument("names", nargs=-1)
@click.option("--out", type=FOLDER, help="Keep the runs here.")
@click.option("--table", type=FOLDER, help="Also write the table as Markdown.")
@click.option("--short", is_flag=True, help="Only the recipes that take seconds.")
@click.option("--seed", type=int, help="Another seed of frames and trainings than the recipes'.")
def judge(names: tuple[str, ...], out: Path | None, table: Path | None, short: bool, seed: int | None) -> None:
    """Train recipes (all without NAMES), have runvet judge them, and compare with what is expected."""
    with plain_errors():
        paths = [recipe(name) for name in names or (SHORT if short else ())]
    paths = paths or sorted(p for p in RECIPES.glob("*.yaml") if p.stem not in APART)
    pairs = [] if seed is None else [f"seed={seed}", f"data.seed={seed}"]
    commands.judge(paths, lambda path, folder: run(path, folder, pairs), out, table)


APART = ("gpu_hour", "flow")  # long ones that the table leaves out
SHORT = ("save_every_rank", "torn_checkpoints", "scaled_log", "static_data")


def run(path: Path, out: Path, pairs: Sequence[str] = ()) -> None:
    """Train a recipe, changed by `pairs`, into a folder. One that asks for several processes gets them for the dynamics stage, started as torchrun
    does; their errors are kept as `train.log` of that stage, and they may fail, as some recipes mean them to.

    Raises ConfigProblem, TimeoutExpired.
    """
    from runvet_lab.worlds import pipeline

    config = load(Config, [path], list(pairs))
    if config.launch.devices < 2:
        pipeline.train(config, out)
        return
    alone = ["launch.devices=1", "launch.strategy=auto", "stages=[video_tokenizer,latent_actions]"]
    pipeline.train(load(Config, [path], [*pairs, *alone]), out)
    place = out / pipeline.RESULTS / "dynamics"
    place.mkdir(parents=True, exist_ok=True)
    launched = ["torch.distributed.run", "--standalone", f"--nproc-per-node={config.launch.devices}"]
    asked = ["train", "--recipe", str(path), "--out", str(out), "--stage", "dynamics", *pairs]
    with (place / "train.log").open("wb") as log:
        subprocess.run(  # noqa: S603  (this package's own command)
            [sys.executable, "-m", *launched, "-m", "runvet_lab.worlds", *asked],
            stdout=subprocess.DEVNULL, stderr=log, timeout=LIMIT, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        )  # fmt: skip


def told(found: dict[str, dict[str, float]]) -> str:
    """Measures as lines."""
    lines = []
    for stage, measures in found.items():
        lines += [stage, *(f"  {name:<32} {value:10.4f}" for name, value in measures.items())]
    return "\n".join(lines)
