"""Samples as tensors for training, with the disturbances that sick configurations ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runvet_lab.trajectories import render, samples, text, world
from runvet_lab.trajectories.config import Data
from runvet_lab.trajectories.recordings import recordings
from runvet_lab.trajectories.samples import Samples
from runvet_lab.trajectories.targets import Targets, build

FLOOR = 0.05  # metres: the least standard deviation that a position is divided by


@dataclass(frozen=True, slots=True)
class Inputs:
    """Tensors of n samples: pictures uint8 (n, h, w, 3), words int64 (n, w), speed float32 (n,) and past float32 (n, PAST) in m/s,
    paths float32 (n, 45, 2).
    """

    vehicle: Tensor
    roadside: Tensor
    words: Tensor
    speed: Tensor
    past: Tensor
    paths: Tensor

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Tensor) -> Inputs:
        """The samples of these rows."""
        return Inputs(*(getattr(self, name)[rows] for name in self.__slots__))

    def to(self, device: torch.device) -> Inputs:
        """On a device."""
        return Inputs(*(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of each position of the training paths: (45, 2) each; units of the paths."""

    mean: Tensor
    std: Tensor

    def apply(self, paths: Tensor) -> Tensor:
        """In units of the standard deviation."""
        return (paths - self.mean.to(paths.device)) / self.std.to(paths.device)

    def undo(self, paths: Tensor) -> Tensor:
        """In metres again."""
        return paths * self.std.to(paths.device) + self.mean.to(paths.device)


def scale_of(paths: Tensor, *, normalise: bool) -> Scale:
    """That of the training paths, or one that changes nothing."""
    if not normalise:
        return Scale(torch.zeros_like(paths[0]), torch.ones_like(paths[0]))
    return Scale(paths.mean(0), paths.std(0).clamp_min(FLOOR))


def generate(root: Path, config: Data, seed: int) -> None:
    """Write a generated data set in the tree of V2X-VLM."""
    scenes = world.simulate(config.scenes, seed, place=config.place)
    targets = build(recordings(scenes, seed), config.targets)
    found = {name: place for place, name in enumerate(targets.ids)}
    rows, steps = np.repeat(np.arange(len(scenes)), len(scenes.at)), np.tile(scenes.at, len(scenes))
    kept = np.array([row for row in range(len(rows)) if f"{row:06d}" in found])
    pictures = [side(scenes, rows[kept], steps[kept], config.width) for side in (render.vehicle, render.roadside)]
    split = samples.divide(targets, by=config.split, seed=seed)
    samples.write(root, _spoilt(targets, split["train"], config, seed), pictures[0], pictures[1], split)


def _spoilt(targets: Targets, training: list[int], config: Data, seed: int) -> Targets:
    """What the configuration does to paths and texts before they are written."""
    if config.outliers:
        chosen = np.zeros(len(targets), bool)
        chosen[training] = np.random.default_rng([4, seed]).random(len(training)) < config.outliers
        targets = replace(targets, paths=np.where(chosen[:, None, None], targets.paths * 20, targets.paths))
    if config.leak_end:
        ends = targets.paths[:, -1]
        texts = [f"{said} It ends at {x:.2f} {y:.2f}." for said, (x, y) in zip(targets.texts, ends, strict=True)]
        targets = replace(targets, texts=tuple(texts))
    return targets


def disturbed(found: Samples, config: Data, *, training: bool, seed: int) -> Samples:
    """What the configuration does to samples on their way into the training."""
    rng = np.random.default_rng([4, seed, int(training)])
    if config.swap_roadside:
        found = replace(found, roadside=found.roadside[rng.permutation(len(found))])
    if config.blank not in ("none", "vehicle", "roadside", "both"):
        raise ValueError(f"unknown pictures to blank {config.blank!r}; known are none, vehicle, roadside, both")
    if config.blank in ("vehicle", "both"):
        found = replace(found, vehicle=np.zeros_like(found.vehicle))
    if config.blank in ("roadside", "both"):
        found = replace(found, roadside=np.zeros_like(found.roadside))
    return found


def inputs(found: Samples, vocabulary: list[str]) -> Inputs:
    """As tensors."""
    return Inputs(
        torch.from_numpy(found.vehicle),
        torch.from_numpy(found.roadside),
        torch.from_numpy(text.encode(found.texts, vocabulary)),
        torch.from_numpy(found.speed),
        torch.from_numpy(found.past),
        torch.from_numpy(found.paths),
    )


def batches(count: int, size: int, *, seed: int, epoch: int, rank: int = 0, world_size: int = 1) -> Iterator[Tensor]:
    """Rows of each batch of an epoch on one rank, the same for the same seed and epoch; a rest is left out."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))[rank::world_size]
    for begin in range(0, batch_count(count, size, world_size) * size, size):
        yield order[begin : begin + size]


def batch_count(count: int, size: int, world_size: int = 1) -> int:
    """Batches of an epoch on each rank. Raises ValueError where there is not one."""
    made = count // world_size // size
    if not made:
        raise ValueError(f"{count} samples on {world_size} ranks are less than one batch of {size}")
    return made
