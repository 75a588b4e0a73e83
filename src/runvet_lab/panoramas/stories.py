"""What a recipe does from its beginning to its end: train and evaluate, check a data set, or stop and go on otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from runvet_lab.base import config as configs
from runvet_lab.panoramas import check, opv2v, scene
from runvet_lab.panoramas.config import Config, Tree

PATIENCE = 1800  # seconds for other processes
MISSING = "Codes"  # the class that an old copy of the package does not have yet


def tell(config: Config, out: Path, *, resume: bool = False) -> dict[str, float]:
    """Do what `config.story` says, in a run folder; the metrics of the evaluation where there is one.

    Raises ValueError for an unknown story, and what training and checking raise.
    """
    known: dict[str, Callable[[Config, Path], dict[str, float]]] = {
        "tree": _tree, "resume": _resumed, "checkout": _other_checkout,
    }  # fmt: skip
    if config.story == "train":
        return _trained(config, out, resume=resume)
    if config.story not in known:
        raise ValueError(f"unknown story {config.story!r}; known are train, {', '.join(known)}")
    return known[config.story](config, out)


def write_tree(root: Path, tree: Tree, seed: int) -> int:
    """An OPV2V tree with a split for training and one for validation; how many frames of agents."""
    count = 0
    for number, split in enumerate(("train", "validate")):
        street = scene.town(seed + 50 * number)
        for index in range(tree.scenarios):
            drive = scene.scenario(
                street, seed * 1009 + 100 * number + index, agents=tree.agents, steps=tree.steps, slope=tree.slope
            )
            kind: opv2v.Kind = "ray" if tree.kind == "ray" else "z"
            count += opv2v.write(
                root, split, f"2021_08_{16 + number:02d}_{10 + index:02d}_00_00", drive, size=(tree.width, tree.height),
                every=tree.every, kind=kind, fill=tree.fill, seed=seed,
            )  # fmt: skip
    if tree.declared:
        (root / "depth.json").write_text(f'{{"depth_kind": "{tree.declared}", "unit": "m"}}\n', encoding="utf-8")
    return count


def _trained(config: Config, out: Path, *, resume: bool = False) -> dict[str, float]:
    from runvet_lab.panoramas import infer
    from runvet_lab.panoramas.train import train

    if config.train.evaluate not in ("all", "summaries", "parity", "none"):
        raise ValueError(f"unknown evaluation {config.train.evaluate!r}; known are all, summaries, parity, none")
    found = train(config, out, resume=resume)
    if config.train.evaluate in ("all", "summaries"):
        return infer.evaluate(out, arrays=config.train.evaluate == "all")
    if config.train.evaluate == "parity":
        infer.parity(infer.load(out), out)
    return found


def _tree(config: Config, out: Path) -> dict[str, float]:
    """Write a tree, check it as training would read it, and leave the configuration beside."""
    root = out / "data"
    write_tree(root, config.tree, config.seed)
    configs.save(config, out / "config.yaml")
    found = check.check_tree(
        root, columns=config.data.columns, rows=config.data.rows, crop=config.data.crop, parallax=config.data.parallax, bilinear=config.data.bilinear,
        euler=config.data.euler_order, axes=config.tree.axes,
    )  # fmt: skip
    found.write(out / "check")
    return {"wrong": float(len(found.wrong))}


def _resumed(config: Config, out: Path) -> dict[str, float]:
    """A first start, and a second one that goes on with other settings, in this process or under torchrun."""
    later = _changed(config, [*config.then, "train.stop_after=0"])
    if not config.processes:
        from runvet_lab.panoramas.train import train

        train(config, out)
        return _trained(later, out, resume=True)
    for number, (part, count) in enumerate(zip((config, later), config.processes, strict=True)):
        words = [
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc_per_node={count}",
            "-m",
            "runvet_lab.panoramas.cli",
        ]
        done = _started(words, part, out, resume=number > 0)
        if done.returncode:
            raise ValueError(f"torchrun with {count} processes ended with {done.returncode}: {done.stdout[-500:]}")
    return {}


def _other_checkout(config: Config, out: Path) -> dict[str, float]:
    """A start, and a resumed one from another, older copy of the package that stands first on the path."""
    from runvet_lab.panoramas.train import train

    train(config, out)
    with tempfile.TemporaryDirectory(prefix="older-") as name:
        old = Path(name)
        shutil.copytree(Path(__file__).parents[1], old / "runvet_lab", ignore=shutil.ignore_patterns("__pycache__"))
        model = old / "runvet_lab" / "panoramas" / "model.py"
        model.write_text(
            model.read_text(encoding="utf-8").replace(f"class {MISSING}(", "class Places("), encoding="utf-8"
        )
        later = _changed(config, [*config.then, "train.stop_after=0"])
        done = _started(["-m", "runvet_lab.panoramas.cli"], later, out, resume=True, folder=old)
    with (out / "train.log").open("a", encoding="utf-8") as log:
        log.write(done.stdout)
    return {}


def _changed(config: Config, pairs: Sequence[str]) -> Config:
    with tempfile.TemporaryDirectory() as name:
        configs.save(config, Path(name) / "config.yaml")
        return configs.load(Config, [Path(name) / "config.yaml"], pairs)


def _started(
    words: Sequence[str], config: Config, out: Path, *, resume: bool, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The lab's own command in a new interpreter, for a start with exactly this configuration; its output and status.

    `folder`: where it runs, whose packages come first on the path.
    """
    environment = {**os.environ, **({"PYTHONPATH": str(folder)} if folder else {})}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "config.yaml"
        configs.save(replace(config, story="train", processes=[], then=[]), file)
        options = ["train", "--recipe", str(file), "--out", str(out.resolve())]
        return subprocess.run(  # noqa: S603  (this interpreter, with words of this file)
            [sys.executable, *words, *options, *(["--resume"] if resume else [])], cwd=folder, env=environment, text=True,
            timeout=PATIENCE, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
