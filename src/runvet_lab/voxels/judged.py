"""The table of the lab: healthy and sick configurations, trained for real and judged by `runvet check`.

Sick configurations that change nothing but the sampling are drawn from the healthy run's weights: the fault is then in the
sampler and nowhere else. All others are trained.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from runvet_lab.base import config as configs
from runvet_lab.base import metrics as metric_log
from runvet_lab.base.judged import Row, table
from runvet_lab.voxels import run_folder, sets
from runvet_lab.voxels.config import CONFIGS, Config, named
from runvet_lab.voxels.train import Trainer

HEALTHY = ("small", "uniform")  # the second lies on top of the first
BASE = {"stride_wrong": "uniform"}  # what a sick configuration changes, where it is not `small`
CLASSES = ("house", "pyramid", "wall", "bridge")  # two solid classes, two thin ones that fall apart easily
SIZE = (12, 12, 12)


def run(
    out: Path, only: Sequence[str] = (), *, pairs: Sequence[str] = (), seed: int = 0, say: Callable[[str], Any] = print
) -> list[Row]:
    """Train, sample and judge below `out`. `only` names configurations; `pairs` change all of them.

    `seed` is that of the data and of the trainings; another one is another test of the rules.

    What is there from an earlier call is judged again and not trained again. Raises ValueError for unknown names.
    """
    files = [*(CONFIGS / f"{name}.yaml" for name in HEALTHY), *sorted((CONFIGS / "sick").glob("*.yaml"))]
    unknown = set(only) - {path.stem for path in files}
    if unknown:
        raise ValueError(f"no configuration {', '.join(sorted(unknown))}; known are {', '.join(p.stem for p in files)}")
    chosen = [path for path in files if not only or path.stem in only]
    for folder, air in (("data", 0), ("data255", 255)):
        if not (out / folder).exists():
            sets.write(out / folder, 560, size=SIZE, classes=CLASSES, held_out=80, air=air, seed=seed)
    all_pairs = [f"train.seed={seed}", *pairs]
    return table(chosen, lambda path, _: trained(path.stem, out, all_pairs), out / "runs", say=say)


def trained(name: str, out: Path, pairs: Sequence[str] = ()) -> None:
    """The run of one configuration, in `out/runs/<name>`."""
    folder = out / "runs" / name
    if (folder / "summary.json").exists():
        return
    base = "small" if name in HEALTHY else BASE.get(name, "small")
    files = [named(part) for part in dict.fromkeys(("small", base, name))]
    source = out / ("data255" if name == "air255" else "data")
    config = configs.load(Config, files, [*pairs, f"data.folder={source}"])
    if name not in HEALTHY and _sampling_only(files[-1]):
        trained(base, out, pairs)
        sampled_again(out / "runs" / base, folder, config)
        return
    if folder.exists():
        shutil.rmtree(folder)  # a run that was broken off
    if Trainer(config, folder, _silent).run().stopped == "signal":
        raise KeyboardInterrupt


def sampled_again(healthy: Path, folder: Path, config: Config) -> None:
    """A copy of a run without its samples, and samples of its last step as the configuration draws them."""
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(healthy, folder, ignore=shutil.ignore_patterns("samples", "summary.json"))
    log = folder / metric_log.NAME
    rows = [json.loads(row) for row in log.read_text(encoding="utf-8").splitlines()]
    kept = [{name: value for name, value in row.items() if not name.startswith("sample/")} for row in rows]
    log.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    trainer = Trainer(config, folder, _silent)
    run_folder.prepare(folder, config, trainer.vocabulary)
    trainer.sample_again()


def _silent(_: str) -> None:
    """Progress of a training is not shown."""


def _sampling_only(path: Path) -> bool:
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return set(content) - {"expect"} == {"sampling"}
