"""Samples on disk in the tree of V2X-VLM: two pictures, a text and a path for each, and lists of the splits.

    vehicle_images/ID.png   infrastructure_images/ID.png   text_prompts/ID.txt   ground_truth_trajectories/ID.npy
    split/train.txt  split/val.txt  split/test.txt         samples.jsonl (speeds, pose and recording of each; optional)

Pictures may be JPEG. Without `samples.jsonl`, the speed is that of the path's first step and nothing is known of recordings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.base.extra import need
from runvet_lab.trajectories.targets import Targets
from runvet_lab.trajectories.world import DT, HORIZON, PAST

F: TypeAlias = npt.NDArray[np.float32]
Pictures: TypeAlias = npt.NDArray[np.uint8]

SPLITS = ("train", "val", "test")
VEHICLE, ROADSIDE, TEXTS, PATHS = "vehicle_images", "infrastructure_images", "text_prompts", "ground_truth_trajectories"
ENDINGS = (".png", ".jpg", ".jpeg")


class DataProblem(ValueError):
    """A file that can't be used; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Samples:
    """n samples. `vehicle`, `roadside`: uint8 (n, h, w, 3); `paths`: float32 (n, 45, 2) metres;
    `speed`: float32 (n,) m/s; `past`: float32 (n, PAST) m/s, speeds of the steps before the picture, the newest last.
    """

    vehicle: Pictures
    roadside: Pictures
    texts: tuple[str, ...]
    paths: F
    speed: F
    past: F
    recording: tuple[str, ...]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)


def write(
    root: Path, targets: Targets, vehicle: Pictures, roadside: Pictures, split: Mapping[str, Sequence[int]]
) -> None:
    """Write targets with their pictures (n, h, w, 3); `split` holds the rows of each split. Raises OSError."""
    image = need("PIL.Image")
    for name in (VEHICLE, ROADSIDE, TEXTS, PATHS, "split"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with (root / "samples.jsonl").open("w", encoding="utf-8") as about:
        for row, name in enumerate(targets.ids):
            image.fromarray(vehicle[row]).save(root / VEHICLE / f"{name}.png", compress_level=1)
            image.fromarray(roadside[row]).save(root / ROADSIDE / f"{name}.png", compress_level=1)
            (root / TEXTS / f"{name}.txt").write_text(targets.texts[row] + "\n", encoding="utf-8")
            np.save(root / PATHS / f"{name}.npy", targets.paths[row].astype(np.float32))
            known = {"id": name, "recording": targets.recording[row], "speed": round(float(targets.speed[row]), 4)}
            place = {key: round(float(v), 4) for key, v in zip(("x", "y", "yaw"), targets.pose[row], strict=True)}
            past = {"past": [round(float(v), 3) for v in targets.past[row]]}
            of_steps = {"batch_ids": targets.steps[row]}
            about.write(json.dumps({**known, **place, **past, **of_steps}) + "\n")
    for part, rows in split.items():
        text = "".join(f"{targets.ids[row]}\n" for row in rows)
        (root / "split" / f"{part}.txt").write_text(text, encoding="utf-8")


def divide(targets: Targets, *, by: str = "scene", seed: int = 0, held_out: float = 1 / 6) -> dict[str, list[int]]:
    """Rows of `train` and `val`. `by="scene"` keeps the pictures of a recording together; `by="frame"` leaks neighbours."""
    rng = np.random.default_rng([2, seed])
    if by == "frame":
        held = rng.random(len(targets)) < held_out
    elif by == "scene":
        names = sorted(set(targets.recording))
        chosen = set(rng.permutation(names)[: max(1, round(len(names) * held_out))].tolist())
        held = np.array([name in chosen for name in targets.recording])
    else:
        raise ValueError(f"unknown split {by!r}; known are scene and frame")
    return {"train": np.flatnonzero(~held).tolist(), "val": np.flatnonzero(held).tolist()}


def read(root: Path, split: str, *, skip: bool = False) -> Samples:
    """The samples of a split. `skip` leaves out the ones with a missing or broken file, and warns. Raises DataProblem."""
    listing = root / "split" / f"{split}.txt"
    try:
        ids = listing.read_text(encoding="utf-8").split()
    except OSError as error:
        raise DataProblem(f"{listing}: {error.strerror}; the tree of V2X-VLM is expected below {root}") from None
    about, rows, problems = _about(root / "samples.jsonl"), [], []
    for name in ids:
        try:
            rows.append(_one(root, name, about.get(name, {})))
        except DataProblem as problem:
            if not skip:
                raise
            problems.append(str(problem))
    if problems:
        import warnings

        warnings.warn(f"{len(problems)} of {len(ids)} samples are left out; the first: {problems[0]}", stacklevel=2)
    if not rows:
        raise DataProblem(f"{listing}: no samples")
    vehicle, roadside, texts, paths, speed, past, recording, kept = zip(*rows, strict=True)
    shapes = {picture.shape for picture in (*vehicle, *roadside)}
    if len(shapes) > 1:
        raise DataProblem(f"{root}: pictures of different sizes {sorted(shapes)[:3]}; bring them to one size")
    numbers = np.stack(paths), np.array(speed, np.float32), np.stack(past)
    return Samples(np.stack(vehicle), np.stack(roadside), texts, *numbers, recording, kept)


def _one(root: Path, name: str, about: dict[str, Any]) -> tuple[Any, ...]:
    path = _path(root / PATHS / f"{name}.npy")
    try:
        text = (root / TEXTS / f"{name}.txt").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataProblem(f"{root / TEXTS / name}.txt: {error}") from None
    speed = float(about.get("speed", np.linalg.norm(path[1] - path[0]) / DT))
    pictures = _picture(root / VEHICLE, name), _picture(root / ROADSIDE, name)
    past = np.asarray(about.get("past", [speed] * PAST), np.float32)
    if past.shape != (PAST,):
        raise DataProblem(f"{root / 'samples.jsonl'}: {name} has past speeds {past.shape}; ({PAST},) are expected")
    return *pictures, text, path, speed, past, str(about.get("recording", "")), name


def _path(file: Path) -> F:
    try:
        path = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataProblem(f"{file}: not a readable array: {error}") from None
    if path.shape != (HORIZON, 2) or path.dtype.kind != "f":
        raise DataProblem(f"{file}: {path.dtype} {path.shape}; float ({HORIZON}, 2) is expected")
    if not np.isfinite(path).all():
        raise DataProblem(f"{file}: {int((~np.isfinite(path)).sum())} values are not finite")
    out: F = path.astype(np.float32)
    return out


def _picture(folder: Path, name: str) -> Pictures:
    image = need("PIL.Image")
    found = next((file for end in ENDINGS if (file := folder / f"{name}{end}").exists()), None)
    if found is None:
        raise DataProblem(f"{folder / name}: no picture ({', '.join(ENDINGS)})")
    try:
        with image.open(found) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataProblem(f"{found}: not a readable picture: {error}") from None


def _about(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {str(row["id"]): row for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise DataProblem(
            f"{path}: {type(error).__name__} {error}; one JSON object with an id a line is expected"
        ) from None
