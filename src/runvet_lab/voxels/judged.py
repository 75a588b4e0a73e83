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
from runvet_lab.voxels.config import CONFIGS, Config
from runvet_lab.voxels.train import Trainer

HEALTHY = CONFIGS / "small.yaml"
CLASSES = ("house", "pyramid", "tower", "cube")  # what a small model learns in a minute
SIZE = (12, 12, 12)


def run(
    out: Path, only: Sequence[str] = (), *, pairs: Sequence[str] = (), say: Callable[[str], Any] = print
) -> list[Row]:
    """Train, sample and judge below `out`. `only` names configurations; `pairs` change all of them."""
    files = [HEALTHY, *sorted((CONFIGS / "sick").glob("*.yaml"))]
    unknown = set(only) - {path.stem for path in files}
    if unknown:
        raise ValueError(f"no configuration {', '.join(sorted(unknown))}; known are {', '.join(p.stem for p in files)}")
    chosen = [path for path in files if not only or path.stem in only]
    if not (out / "data").exists():
        sets.write(out / "data", 560, size=SIZE, classes=CLASSES, held_out=80)
        sets.write(out / "data255", 560, size=SIZE, classes=CLASSES, held_out=80, air=255)
    return table(chosen, lambda path, folder: trained(path, folder, out, pairs), out / "runs", say=say)


def trained(path: Path, folder: Path, out: Path, pairs: Sequence[str]) -> None:
    """The run of one configuration below `folder`."""
    source = "data255" if path.stem == "air255" else "data"
    own = [] if path == HEALTHY else [path]
    config = configs.load(Config, [HEALTHY, *own], [*pairs, f"data.folder={out / source}"])
    healthy = out / "runs" / HEALTHY.stem
    if own and _sampling_only(path):
        if not (healthy / "summary.json").exists():
            trained(HEALTHY, healthy, out, pairs)
        sampled_again(healthy, folder, config)
        return
    if (folder / "summary.json").exists():
        return
    if folder.exists():
        shutil.rmtree(folder)
    Trainer(config, folder, lambda _: None).run()


def sampled_again(healthy: Path, folder: Path, config: Config) -> None:
    """A copy of a run without its samples, and samples of its last step as the configuration draws them."""
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(healthy, folder, ignore=shutil.ignore_patterns("samples", "summary.json"))
    log = folder / metric_log.NAME
    rows = [json.loads(row) for row in log.read_text(encoding="utf-8").splitlines()]
    kept = [{name: value for name, value in row.items() if not name.startswith("sample/")} for row in rows]
    log.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    trainer = Trainer(config, folder, lambda _: None)
    run_folder.prepare(folder, config, trainer.vocabulary)
    trainer.sample_again()


def _sampling_only(path: Path) -> bool:
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return set(content) - {"expect"} == {"sampling"}
