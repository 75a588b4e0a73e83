"""Panoramas of several cars as arrays: generated exactly by casting, or fused from an OPV2V tree.

A view is one car at one moment. Views of one moment belong together; towns never cross splits, except in the split that
holds other drives through known towns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.base.extra import need
from runvet_lab.panoramas import conventions, cylinder, opv2v, scene, sensors
from runvet_lab.panoramas.cast import Seen, cast

F: TypeAlias = npt.NDArray[np.float64]
F32: TypeAlias = npt.NDArray[np.float32]

FARTHEST = 80.0  # metres: what is farther has no depth, as beyond a lidar's reach
SPLITS = ("train", "val", "newtown")
MASKS = ("objects", "rig", "rare")


@dataclass(frozen=True, slots=True)
class Views:
    """n views. `colour` uint8 (n, r, c, 3); `depth` float32 (n, r, c) metres along the ray, 0 where unknown; `mask` bool
    (n, r, c); `pose` float64 (n, 4, 4) sensor to world; `moment` int64 (n,): views with the same number belong together;
    `agent` and `town` int64 (n,).
    """

    colour: npt.NDArray[np.uint8]
    depth: F32
    mask: npt.NDArray[np.bool_]
    pose: F
    moment: npt.NDArray[np.int64]
    agent: npt.NDArray[np.int64]
    town: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.colour)

    def save(self, path: Path) -> None:
        """Write as npz."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(path, **arrays)


def load(path: Path) -> Views:
    """Read what `save` wrote. Raises DataProblem."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return Views(**{field.name: file[field.name] for field in fields(Views)})
    except (OSError, ValueError, KeyError) as error:
        raise opv2v.DataProblem(f"{path}: not views of this lab: {error}") from None


def generate(
    towns: Sequence[int],
    *,
    drives: int,
    agents: int = 2,
    steps: int = 30,
    every: int = 2,
    columns: int = 84,
    rows: int = 21,
    mask: str = "objects",
    slope: float = 0.0,
    seed: int = 0,
    backend: str = "numpy",
    device: str = "cpu",
) -> Views:
    """Exact panoramas of `drives` drives through each town. Raises ValueError for an unknown mask."""
    pano, parts, moment = sensors.panorama(columns, rows), [], 0
    for place, town in enumerate(towns):
        street = scene.town(town)
        for drive in range(drives):
            run = scene.scenario(
                street, (seed * 1009 + town) * 10_007 + 997 * place + drive, agents=agents, steps=steps, slope=slope
            )
            at = np.arange(0, run.steps, every)
            for agent in range(agents):
                poses, boxes = scene.around(run, agent, at)
                seen = as_numpy(cast(pano, poses, boxes, backend=backend, device=device))
                colour = opv2v.painted(seen.what, seen.distance, pano, poses, run)
                depth = np.where(seen.distance < FARTHEST, seen.distance, 0).astype(np.float32)
                part = masked(mask, seen, depth, run, pano)
                count = len(at)
                parts.append(
                    Views(
                        colour,
                        depth,
                        part,
                        poses,
                        moment + np.arange(count),
                        np.full(count, agent),
                        np.full(count, town),
                    )
                )
            moment += len(at)
    return joined(parts)


def masked(kind: str, seen: Seen, depth: F32, run: scene.Scenario, pano: sensors.Sensor) -> npt.NDArray[np.bool_]:
    """What is to be told apart: `objects` (cars and poles), `rare` (poles far away), `rig` (what the cameras can see)."""
    if kind == "objects":
        out: npt.NDArray[np.bool_] = (seen.what >= run.town.houses) & (depth > 0)
        return out
    if kind == "rare":
        far: npt.NDArray[np.bool_] = (seen.what >= run.town.houses) & (seen.what < len(run.town.pose)) & (depth > 25)
        return far
    if kind == "rig":
        size = pano.shape[1], pano.shape[0]
        return np.broadcast_to(cylinder.coverage(pano, cropped_to=size), depth.shape).copy()
    raise ValueError(f"unknown mask {kind!r}; known are {', '.join(MASKS)}")


def from_tree(
    root: Path,
    split: str,
    *,
    columns: int = 84,
    rows: int = 21,
    parallax: bool = True,
    depth_root: Path | None = None,
    crop: bool = False,
    bilinear: bool = False,
    euler: str = "carla",
) -> Views:
    """Panoramas fused from the cameras of an OPV2V tree; the mask is what the cameras cover. Raises DataProblem.

    `crop`: cut pictures to the panorama's shape before the warp, as some preprocessing does; rows are lost.
    `bilinear`: sample depth between pixels, holes included. `euler`: by which convention poses are read.
    """
    kind = opv2v.depth_kind(depth_root or root)
    if kind is None:
        raise opv2v.DataProblem(f"{depth_root or root}: no depth.json that says whether depth is along the ray or z")
    read = conventions.CONVENTIONS[conventions.named(euler)]
    pano, parts = sensors.panorama(columns, rows), []
    moments: dict[tuple[str, str], int] = {}
    for frame in opv2v.frames(root, split, depth_root):
        meta = opv2v.meta(frame.meta)
        try:
            pictures = np.stack([_picture(path) for path in frame.pictures])
            depths = np.stack([np.load(path, allow_pickle=False) for path in frame.depths]).astype(float)
        except (OSError, ValueError) as error:
            raise opv2v.DataProblem(f"{frame.meta.parent}/{frame.frame}: {error}") from None
        camera = sensors.camera(pictures.shape[2], pictures.shape[1], np.deg2rad(opv2v.VIEW))
        shape = (columns, rows) if crop else None
        stored = cylinder.Depth(depths, kind)
        fused = cylinder.fuse(pano, pictures, stored, camera, parallax=parallax, cropped_to=shape, bilinear=bilinear)
        depth = np.where((fused.depth > 0) & (fused.depth < FARTHEST), fused.depth, 0).astype(np.float32)
        pose = conventions.from_carla(read(meta.lidar))
        number = moments.setdefault((frame.scenario, frame.frame), len(moments))
        one = np.array([number]), np.array([int(frame.agent)]), np.array([0])
        parts.append(Views(fused.colour[None], depth[None], fused.seen[None], pose[None], *one))
    return joined(parts)


def _picture(path: Path) -> npt.NDArray[np.uint8]:
    with need("PIL.Image").open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def joined(parts: Iterable[Views]) -> Views:
    """One after the other."""
    all_parts = list(parts)
    return Views(*(np.concatenate([getattr(part, field.name) for part in all_parts]) for field in fields(Views)))


def pairs(views: Views, *, each: int = 2, seed: int = 0) -> npt.NDArray[np.int64]:
    """Rows (m, each) of views of one moment; a moment with more views gives every one of them as the first once."""
    rng, found = np.random.default_rng([8, seed]), []
    order = np.argsort(views.moment, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(views.moment[order])) + 1):
        if len(rows) >= each:
            found += [[first, *rng.permutation(rows[rows != first])[: each - 1]] for first in rows]
    if not found:
        raise opv2v.DataProblem(f"no moment has {each} views; take fewer views a sample or more agents")
    return np.array(found)


def as_numpy(seen: Seen) -> Seen:
    """Tensors brought back to the CPU."""
    return Seen(*(part if isinstance(part, np.ndarray) else part.cpu().numpy() for part in (seen.distance, seen.what)))
