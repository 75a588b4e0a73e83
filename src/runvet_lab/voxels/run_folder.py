"""What a training leaves behind, laid out so that a person and `runvet check` find it.

config.yaml  runvet.toml  metrics.jsonl  vocabulary.json  schedules.npz  summary.json
dataset/sample_0000/voxels.npz + data.json        some of the data, for comparison
samples/step_000500/sample_0000/voxels.npz + data.json
checkpoints/step-00000500/
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import runvet
from runvet_lab.base import config as configs
from runvet_lab.voxels import data as structures
from runvet_lab.voxels.config import Config
from runvet_lab.voxels.data import DataSet
from runvet_lab.voxels.diffusion.schedule import signal, visited
from runvet_lab.voxels.metrics import Quality, score
from runvet_lab.voxels.shapes import Grid
from runvet_lab.voxels.structure import Structure
from runvet_lab.voxels.tokens import Vocabulary

CONFIG = "config.yaml"


class NotARun(ValueError):
    """A folder that is no run of this lab; the message says what is missing."""


def prepare(folder: Path, config: Config, vocabulary: Vocabulary) -> None:
    """Write what is known before the first step."""
    folder.mkdir(parents=True, exist_ok=True)
    configs.save(config, folder / CONFIG)
    vocabulary.save(folder)
    np.savez_compressed(folder / "schedules.npz", **schedules(config))
    lines = [f"planned_steps = {config.train.max_steps}", ""]
    for milestone in config.train.milestones:
        last = max(config.train.max_steps, milestone.step + 1)
        lines += [
            "[[expected]]",
            f"steps = [{milestone.step}, {last}]",
            f'"{milestone.metric}" = [{milestone.at_least}, 1.0e9]',
            "",
        ]
    (folder / "runvet.toml").write_text("\n".join(lines), encoding="utf-8")


def schedules(config: Config) -> dict[str, Any]:
    """Both schedules as arrays over the same times: what training adds as noise, and what the sampler takes away.

    `*_signal` is abar(t) (for masked diffusion the share of voxels that is shown) at `times`; `visited` are the
    times at which the sampler stands.
    """
    steps = config.sampling.num_inference_steps
    if config.train.objective == "masked":
        times = np.linspace(1.0, 0.0, steps + 1)
        shown = (1 - times) ** config.sampling.pace
        return {"times": times, "train_signal": shown, "sampling_signal": shown, "visited": times}
    at = np.arange(1, 1_001) / 1_000
    own, other = signal(config.train.noise_schedule).numpy(), signal(_sampling_schedule(config)).numpy()
    return {"times": at, "train_signal": own, "sampling_signal": other, "visited": at[visited(steps)]}


def _sampling_schedule(config: Config) -> str:
    return config.sampling.noise_schedule


def copy_data(folder: Path, data: DataSet, number: int, extra: int, air: int) -> None:
    """Some of the data, evenly, as they are coded on disk: `extra` constant channels, `air` for nothing."""
    rows = np.unique(np.linspace(0, len(data) - 1, min(number, len(data))).round().astype(int))
    made = []
    for place, row in enumerate(rows):
        grid = np.where(data.grids[row] == air, np.uint8(0), data.grids[row])
        more = np.zeros((*grid.shape, extra), np.uint8) if extra else None
        made.append(Structure(grid, data.labels[row], data.prompts[row], f"sample_{place:04d}", more))
    structures.write(folder / "dataset", made, air=air)


def write_samples(
    folder: Path, step: int, grids: Grid, labels: Sequence[str], prompts: Sequence[str], facts: Mapping[str, Any]
) -> Path:
    """Samples of a step with what they were drawn with; `facts` go into each `data.json`."""
    place = folder / f"step_{step:06d}"
    made = [
        Structure(g, label, prompt, f"sample_{i:04d}")
        for i, (g, label, prompt) in enumerate(zip(grids, labels, prompts, strict=True))
    ]
    structures.write(place, made)
    for structure in made:
        about = place / structure.name / "data.json"
        content = json.loads(about.read_text(encoding="utf-8")) | dict(facts) | {"step": step}
        about.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return place


def summary(folder: Path, step: int, seconds: float, cpu_seconds: float, quality: Sequence[Quality]) -> None:
    """Write `summary.json`: how far the run came, what it took, and the quality of its last samples by class."""
    rows = {each.label or "all": {"n": each.n, **each.numbers()} for each in quality}
    content = {
        "step": step,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "score": round(score(quality), 5) if quality else None,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "runvet": runvet.__version__},
        "samples": rows,
    }
    (folder / "summary.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def facts(config: Config, seed: int) -> dict[str, Any]:
    """How samples are drawn, as their `data.json` says it."""
    sampling = config.sampling
    return {"seed": seed, **asdict(sampling), "effective_temperature": sampling.effective_temperature}


def read_config(folder: Path) -> Config:
    """The configuration of a run folder. Raises NotARun, ConfigProblem."""
    path = folder / CONFIG
    if not path.is_file():
        raise NotARun(f"{folder}: no {CONFIG}; is it a run of `runvet-lab voxels train`?")
    return configs.load(Config, [path])
