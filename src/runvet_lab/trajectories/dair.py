"""DAIR-V2X's cooperative tree and the trajectory tables of V2X-Seq, as recordings.

Times are in microseconds, lengths in metres, headings from rotation matrices: atan2(R10, R00). Consecutive records are not
always 100 ms apart, so times are used and never places in the list.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.base.extra import need
from runvet_lab.trajectories import render
from runvet_lab.trajectories.recordings import F, Recording, recordings
from runvet_lab.trajectories.samples import DataProblem
from runvet_lab.trajectories.world import Scenes

ROOT = "cooperative-vehicle-infrastructure"
CAR_TYPES = ("car", "truck", "van", "bus")
FIRST = 1_626_155_123_000_000  # microseconds: the time of the first frame that is written
EVERY = 5  # a picture every so many positions of a table


def write(root: Path, scenes: Scenes, seed: int = 0) -> int:
    """Write scenes with a picture of both sides for each position, 10 a second; returns how many frames."""
    image = need("PIL.Image")
    base, steps = root / ROOT, scenes.ego.shape[1]
    for folder in (
        "vehicle-side/image",
        "vehicle-side/calib/novatel_to_world",
        "infrastructure-side/image",
        "cooperative/label_world",
    ):
        (base / folder).mkdir(parents=True, exist_ok=True)
    vehicle, roadside, pairs = [], [], []
    for number, recording in enumerate(recordings(scenes, seed)):
        rows = np.full(steps, number), np.arange(steps)
        seen, beside = render.vehicle(scenes, *rows), render.roadside(scenes, *rows)
        begin = number * steps
        for step in range(steps):
            name = f"{begin + step:06d}"
            for side, picture in (("vehicle", seen[step]), ("infrastructure", beside[step])):
                image.fromarray(picture).save(base / f"{side}-side/image/{name}.jpg", quality=92)
            _dump(base / f"vehicle-side/calib/novatel_to_world/{name}.json", _novatel(recording.pose[step]))
            _dump(base / f"cooperative/label_world/{name}.json", [_label(car) for car in recording.labels[step]])
            time = str(FIRST + (number * 60_000 + step * 100) * 1000)
            batch = {
                "batch_id": recording.name,
                "batch_start_id": f"{begin:06d}",
                "batch_end_id": f"{begin + steps - 1:06d}",
            }
            vehicle.append(_record("vehicle", name, time) | batch)
            roadside.append(_record("infrastructure", name, time) | {"batch_id": recording.name})
            pairs.append(_pair(name))
    for side, records in (("vehicle-side", vehicle), ("infrastructure-side", roadside), ("cooperative", pairs)):
        _dump(base / side / "data_info.json", records)
    return len(vehicle)


def read(root: Path, *, every: int = EVERY) -> list[Recording]:
    """The recordings of a cooperative tree; each `every`-th pair has its picture as a frame. Raises DataProblem."""
    base = root / ROOT if (root / ROOT).is_dir() else root
    pairs = {Path(pair["vehicle_image_path"]).stem: pair for pair in _records(base / "cooperative" / "data_info.json")}
    batches: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in _records(base / "vehicle-side" / "data_info.json"):
        batches[str(record.get("batch_id", ""))].append(record)
    return [_recording(base, name, batch, pairs, every) for name, batch in sorted(batches.items())]


def read_tables(folder: Path, *, every: int = EVERY, kinds: Iterable[str] = ("VEHICLE",)) -> list[Recording]:
    """Tracks of V2X-Seq's CSV files: each track of one of `kinds` is a recording without pictures. Raises DataProblem."""
    made, wanted = [], set(kinds)
    for path in sorted(folder.glob("*.csv")):
        tracks: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    if row["type"].upper() in wanted:
                        tracks[row["id"]].append(tuple(float(row[key]) for key in ("timestamp", "x", "y", "theta")))  # type: ignore[arg-type]
                except (KeyError, TypeError, ValueError) as error:
                    raise DataProblem(
                        f"{path}:{number}: {type(error).__name__} {error}; columns of V2X-Seq are expected"
                    ) from None
        for track, points in sorted(tracks.items()):
            table = np.array(sorted(points))
            frames = np.arange(0, len(table), every)
            ids = tuple(f"{path.stem}_{track}_{frame:04d}" for frame in frames)
            none = tuple(np.empty((0, 3)) for _ in table)
            made.append(
                Recording(f"{path.stem}/{track}", table[:, 0], table[:, 1:4], none, frames, ids, ("",) * len(ids))
            )
    if not made:
        raise DataProblem(f"{folder}: no tracks of {', '.join(sorted(wanted))} in any .csv file")
    return made


def _recording(
    base: Path, name: str, batch: list[Mapping[str, Any]], pairs: Mapping[str, Any], every: int
) -> Recording:
    batch = sorted(batch, key=lambda record: int(record["image_timestamp"]))
    stems = [Path(record["image_path"]).stem for record in batch]
    time = np.array([int(record["image_timestamp"]) for record in batch], float) / 1e6
    pose = np.stack([_pose(base / "vehicle-side" / record["calib_novatel_to_world_path"]) for record in batch])
    labels = tuple(
        _cars(base / pairs[stem]["cooperative_label_path"]) if stem in pairs else np.empty((0, 3)) for stem in stems
    )
    frames = np.array([place for place, stem in enumerate(stems) if stem in pairs][::every], np.int64)
    ids = tuple(stems[place] for place in frames)
    return Recording(name, time - time[0], pose, labels, frames, ids, ("",) * len(ids))


def _pose(path: Path) -> F:
    content = _load(path)
    try:
        place, turn = np.array(content["translation"], float).reshape(3), np.array(content["rotation"], float)
        return np.array([place[0], place[1], np.arctan2(turn[1, 0], turn[0, 0])])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataProblem(f"{path}: no translation and rotation: {error}") from None


def _cars(path: Path) -> F:
    try:
        rows = [
            [float(one["3d_location"]["x"]), float(one["3d_location"]["y"]), float(one["rotation"])]
            for one in _load(path)
            if str(one.get("type", "")).lower() in CAR_TYPES
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataProblem(f"{path}: not a list of labels: {type(error).__name__} {error}") from None
    return np.array(rows, float).reshape(-1, 3)


def _records(path: Path) -> list[dict[str, Any]]:
    content = _load(path)
    if not isinstance(content, list) or not content:
        raise DataProblem(f"{path}: a list of records is expected")
    return content


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataProblem(f"{path}: {error}") from None


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _novatel(pose: F) -> dict[str, Any]:
    cos, sin = float(np.cos(pose[2])), float(np.sin(pose[2]))
    place = [[round(float(pose[0]), 6)], [round(float(pose[1]), 6)], [0.0]]
    return {"translation": place, "rotation": [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]}


def _label(car: F) -> dict[str, Any]:
    x, y, heading = (round(float(number), 6) for number in car)
    long, wide, high = render.CAR
    return {
        "type": "car",
        "occluded_state": "0",
        "truncated_state": "0",
        "3d_location": {"x": x, "y": y, "z": high / 2},
        "3d_dimensions": {"h": high, "w": wide, "l": long},
        "rotation": heading,
    }


def _record(side: str, name: str, time: str) -> dict[str, Any]:
    out = {"image_path": f"image/{name}.jpg", "image_timestamp": time, "intersection_loc": "generated"}
    return out | ({"calib_novatel_to_world_path": f"calib/novatel_to_world/{name}.json"} if side == "vehicle" else {})


def _pair(name: str) -> dict[str, Any]:
    return {
        "infrastructure_image_path": f"infrastructure-side/image/{name}.jpg",
        "vehicle_image_path": f"vehicle-side/image/{name}.jpg",
        "cooperative_label_path": f"cooperative/label_world/{name}.json",
        "system_error_offset": {"delta_x": 0.0, "delta_y": 0.0},
    }
