"""OPV2V's tree: split / scenario / agent / frame, with poses, rig and other cars in YAML; written and read.

Depth is not part of OPV2V: as its users do, it lies in a parallel tree as `{frame}_camera{k}_depth.npy`, beside a
`depth.json` that says whether it is measured along the ray or along the camera's axis. Metres, degrees, km/h, left-handed axes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import yaml

from runvet.artifacts.calibrations import read_yaml
from runvet.artifacts.model import UnreadableError
from runvet_lab.base.extra import need
from runvet_lab.panoramas import scene, sensors
from runvet_lab.panoramas.cast import GROUND, SKY, Boxes, cast
from runvet_lab.panoramas.conventions import CONVENTIONS, angles, from_carla
from runvet_lab.panoramas.scene import HEIGHT, Scenario

F: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["ray", "z"]

SPLITS = ("train", "validate", "test")
CAMERAS = 4
# x forward, y right, z up in metres and yaw in degrees of each camera on a car: OPV2V's rig.
RIG = ((2.5, 0.0, 1.0, 0.0), (0.0, 0.3, 1.8, 100.0), (0.0, -0.3, 1.8, -100.0), (-2.0, 0.0, 1.5, 180.0))
VIEW = 100.0  # degrees, horizontal


class DataProblem(ValueError):
    """A file of the tree that can't be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One agent at one moment: where its files lie."""

    split: str
    scenario: str
    agent: str
    frame: str
    meta: Path
    pictures: tuple[Path, ...]
    depths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Meta:
    """What a frame's YAML says, as it stands there. `cords` (4, 6), `extrinsics` (4, 4, 4), `intrinsics` (4, 3, 3)."""

    cords: F
    extrinsics: F
    intrinsics: F
    lidar: F
    speed: float
    vehicles: dict[str, dict[str, Any]]


def frames(root: Path, split: str, depth: Path | None = None) -> list[Frame]:
    """Every frame of a split, sorted. Raises DataProblem where there is none."""
    found = []
    for meta in sorted((root / split).glob("*/*/*.yaml")):
        if not re.fullmatch(r"\d{4,}", meta.stem):
            continue  # data_protocol.yaml and the like
        name, agent = meta.parent.parent.name, meta.parent.name
        beside = (depth or root) / split / name / agent
        pictures = tuple(meta.with_name(f"{meta.stem}_camera{k}.png") for k in range(CAMERAS))
        depths = tuple(beside / f"{meta.stem}_camera{k}_depth.npy" for k in range(CAMERAS))
        found.append(Frame(split, name, agent, meta.stem, meta, pictures, depths))
    if not found:
        raise DataProblem(f"{root / split}: no frames; expected SCENARIO/AGENT/000068.yaml below")
    return found


def meta(path: Path) -> Meta:
    """Read a frame's YAML, without building any object that it names. Raises DataProblem."""
    try:
        content = read_yaml(path).plain
    except UnreadableError as error:
        raise DataProblem(f"{path}: {error}") from None
    try:
        rig = [content[f"camera{k}"] for k in range(CAMERAS)]
        return Meta(
            np.array([camera["cords"] for camera in rig], float),
            np.array([camera["extrinsic"] for camera in rig], float).reshape(CAMERAS, 4, 4),
            np.array([camera["intrinsic"] for camera in rig], float).reshape(CAMERAS, 3, 3),
            np.array(content["lidar_pose"], float).reshape(6),
            float(content.get("ego_speed", 0.0)),
            {str(key): value for key, value in (content.get("vehicles") or {}).items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataProblem(f"{path}: not a frame of OPV2V: {type(error).__name__} {error}") from None


def depth_kind(root: Path) -> Kind | None:
    """What the depth tree says of itself: along the ray, along the axis, or nothing."""
    try:
        said = json.loads((root / "depth.json").read_text(encoding="utf-8")).get("depth_kind")
    except (OSError, ValueError, AttributeError):
        return None
    return said if said in ("ray", "z") else None


def write(
    root: Path,
    split: str,
    name: str,
    drive: Scenario,
    *,
    size: tuple[int, int] = (200, 150),
    every: int = 2,
    kind: Kind = "z",
    convention: str = "unreal",
    fill: float = 1.0,
    seed: int = 0,
) -> int:
    """Write a scenario with rendered cameras; returns how many frames of agents.

    `size`: columns and rows of a camera. `kind`: what the depth files hold. `convention`: how the extrinsics are
    computed (a wrong one makes the sick data set). `fill`: share of pixels that have depth, the rest are 0.
    """
    rng = np.random.default_rng([5, seed])
    steps = np.arange(0, drive.steps, every)
    for agent in range(drive.agents):
        folder = root / split / name / str(641 + 9 * agent)
        folder.mkdir(parents=True, exist_ok=True)
        _, boxes = scene.around(drive, agent, steps)
        for camera, mount in enumerate(RIG):
            poses = drive.cars[agent, steps] @ mounted(mount)
            _pictures(folder, camera, steps, drive, poses, boxes, size, kind, fill, rng)
        for step in steps:
            text = yaml.safe_dump(_meta(drive, agent, int(step), size, convention, rng), default_flow_style=None)
            (folder / f"{int(step):06d}.yaml").write_text(text, encoding="utf-8")
    protocol = {"additional_information": {"description": "generated"}, "frames_every": every}
    (root / split / name / "data_protocol.yaml").write_text(yaml.safe_dump(protocol), encoding="utf-8")
    (root / "depth.json").write_text(json.dumps({"depth_kind": kind, "unit": "m"}) + "\n", encoding="utf-8")
    return len(steps) * drive.agents


def mounted(mount: Sequence[float]) -> F:
    """Camera to car (4, 4) in the lab's axes, from a line of the rig."""
    x, y, z, yaw = mount
    return from_carla(CONVENTIONS["unreal"]([x, y, z, 0.0, yaw, 0.0]))


def _pictures(
    folder: Path, camera: int, steps: npt.NDArray[np.int64], drive: Scenario, poses: F, boxes: Boxes,
    size: tuple[int, int], kind: Kind, fill: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    image = need("PIL.Image")
    kind_of = sensors.camera(*size, np.deg2rad(VIEW))
    seen = cast(kind_of, poses, boxes)
    colour = painted(seen.what, seen.distance, kind_of, poses, drive)
    distance = np.where(np.isfinite(seen.distance), seen.distance, 0).astype(np.float32)
    if kind == "z":
        distance /= np.linalg.norm(kind_of.rays, axis=-1)
    if fill < 1:
        distance *= rng.random(distance.shape) < fill
    for row, step in enumerate(steps):
        image.fromarray(colour[row]).save(folder / f"{int(step):06d}_camera{camera}.png", compress_level=1)
        np.save(folder / f"{int(step):06d}_camera{camera}_depth.npy", distance[row].astype(np.float32))


def painted(what: Any, distance: Any, sensor: sensors.Sensor, poses: F, drive: Scenario) -> npt.NDArray[np.uint8]:
    """Colours (n, rows, columns, 3) of what a sensor sees: boxes, the street with its markings, sky."""
    rays = sensor.rays / np.linalg.norm(sensor.rays, axis=-1, keepdims=True)
    far = np.where(np.isfinite(distance), distance, 0)[..., None]
    point = np.einsum("nij,rcj->nrci", poses[:, :3, :3], rays) * far + poses[:, None, None, :3, 3]
    aside = np.abs(point[..., 1])
    dash = (point[..., 0] % 6 < 3) & (np.abs(aside - 3.5) < 0.12) | (aside < 0.15)
    street = np.select([dash, aside < 7.0, aside < 10.5], [2, 0, 1], 3)
    table = np.concatenate([scene.colours(drive), [scene.ROAD, scene.PAVEMENT, scene.PAINT, scene.GRASS, scene.SKY]])
    base = len(table) - 5
    index = np.where(what == SKY, base + 4, np.where(what == GROUND, base + street, what))
    return _shaded(table[index].astype(np.float32), point, what)


def _shaded(colour: Any, point: F, what: Any) -> npt.NDArray[np.uint8]:
    """Bands of windows on what is high, so that walls show where they are and how far."""
    solid = np.asarray(what) >= 0
    band = ((point[..., 2] % 3.0 < 1.2) ^ ((point[..., 0] + point[..., 1]) % 4.0 < 1.6)) & solid
    out: npt.NDArray[np.uint8] = np.where(band[..., None], colour * 0.82, colour).astype(np.uint8)
    return out


def _meta(
    drive: Scenario, agent: int, step: int, size: tuple[int, int], convention: str, rng: np.random.Generator
) -> dict[str, Any]:
    car = from_carla(drive.cars[agent, step])
    lidar = car @ CONVENTIONS["unreal"]([0, 0, HEIGHT, 0, 0, 0])
    read = CONVENTIONS[convention]
    out: dict[str, Any] = {
        "ego_speed": round(_speed(drive, agent, step) * 3.6, 6),
        "lidar_pose": _plain(angles(lidar)),
        "true_ego_pos": _plain(angles(car)),
        "predicted_ego_pos": _plain(angles(car) + rng.normal(0, [0.2, 0.2, 0, 0, 0.3, 0])),
        "plan_trajectory": [_plain(angles(from_carla(drive.cars[agent, s]))[:2]) for s in range(step, drive.steps, 10)],
        "vehicles": dict(_vehicles(drive, agent, step)),
    }
    for number, (x, y, z, yaw) in enumerate(RIG):
        cords = angles(car @ CONVENTIONS["unreal"]([x, y, z, 0, yaw, 0]))
        out[f"camera{number}"] = {
            "cords": _plain(cords),
            "extrinsic": [_plain(row) for row in np.linalg.inv(read(cords)) @ read(angles(lidar))],
            "intrinsic": [_plain(row) for row in sensors.intrinsic(*size, np.deg2rad(VIEW))],
        }
    return out


def _vehicles(drive: Scenario, agent: int, step: int) -> Iterator[tuple[int, dict[str, Any]]]:
    for other in range(len(drive.cars)):
        if other != agent:
            place = angles(from_carla(drive.cars[other, step]))
            yield (
                641 + 9 * other,
                {
                    "location": _plain(place[:3]),
                    "center": [0.0, 0.0, float(scene.CAR[2] / 2)],
                    "angle": _plain(place[3:]),
                    "extent": _plain(scene.CAR / 2),
                    "speed": round(_speed(drive, other, step) * 3.6, 6),
                },
            )


def _speed(drive: Scenario, car: int, step: int) -> float:
    near = drive.cars[car, [max(step - 1, 0), min(step + 1, drive.steps - 1)], :3, 3]
    return float(
        np.linalg.norm(near[1] - near[0]) / scene.STEP / max(min(step + 1, drive.steps - 1) - max(step - 1, 0), 1)
    )


def _plain(numbers: Any) -> list[float]:
    return [round(float(number), 9) for number in numbers]
