"""Matrices, angles and cameras that a data set keeps beside its samples: yaml and json files, arrays of poses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runvet.artifacts.grouping import DATA, words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.run import FloatArray, Run, number

FILES = 64  # descriptions that are opened, and as many files of arrays
RECORDS = 400  # records of one file that are looked at
SIZE = 4 << 20
_NAMES = frozenset(
    "calib calibration calibrations camera cameras rig sensor sensors pose poses extrinsic extrinsics transform transforms"
    " cam cams ego frame frames meta info lidar".split()
)
POSE = frozenset(
    "pose poses rot rots rotation rotations rotmat extrinsic extrinsics transform transforms cam2world world2cam c2w w2c"
    " camera cameras lidar ego tcw twc trafo orientation".split()
)
_FLAT = ("r", "rot_mat", "t_cw", "t_wc")
_ANGLES = ("roll", "pitch", "yaw")


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of a rig: K (3, 3) in pixels, picture size, and its mounting.

    `cords` is x, y, z, roll, yaw, pitch (metres and degrees) where the file tells it; `extrinsic` (4, 4).
    """

    name: str
    intrinsic: FloatArray
    width: float
    height: float
    cords: FloatArray | None
    extrinsic: FloatArray | None


@dataclass(frozen=True, slots=True)
class Description:
    """What one record tells: matrices by key, each (3, 3) or (4, 4), cameras, and a sensor's pose as six numbers."""

    where: str
    matrices: Mapping[str, FloatArray]
    cameras: tuple[Camera, ...] = ()
    lidar: FloatArray | None = None
    angles: Mapping[str, FloatArray] = field(default_factory=dict)  # (roll, pitch, yaw) as written


@dataclass(frozen=True, slots=True)
class Calibrations:
    """All descriptions of a run; never empty."""

    records: tuple[Description, ...]


@dataclass(frozen=True, slots=True)
class RotationStacks:
    """Arrays of rotation matrices as (where and name, array (n, 3, 3) of finite, non-zero matrices); never empty."""

    stacks: tuple[tuple[str, FloatArray], ...]


@provides
def calibrations(run: Run) -> Calibrations | Missing:
    kept = run.artifacts
    found = kept.memo("calibrations", lambda: tuple(_described(kept))) if kept is not None else ()
    if not found:
        return Missing("no poses or camera descriptions beside the data", "", applicable=False)
    return Calibrations(found)


@provides
def rotation_stacks(run: Run, described: Calibrations | None) -> RotationStacks | Missing:
    found: dict[str, list[Array]] = {}
    for record in described.records if described else ():
        for key, matrix in record.matrices.items():
            found.setdefault(f"{key} of {record.where.rpartition('/')[0] or record.where}", []).append(matrix[:3, :3])
    stacks = [(name, np.stack(many)) for name, many in found.items()]
    stacks += list(_arrays(run.artifacts)) if run.artifacts is not None else []
    good = [(name, kept) for name, many in stacks if len(kept := _usable(many))]
    return RotationStacks(tuple(good)) if good else Missing("no rotation matrices", "", applicable=False)


def _usable(many: Array) -> FloatArray:
    """Finite matrices that are not all zero (zeros stand for a missing pose)."""
    many = np.asarray(many, np.float64)
    good = np.isfinite(many).all(axis=(1, 2)) & (np.abs(many).max(axis=(1, 2)) > 1e-9)
    return np.asarray(many[good])


def _arrays(artifacts: Artifacts) -> Iterator[tuple[str, Array]]:
    def speaks(item: Item) -> bool:
        try:
            held = item.peek() if item.peek is not None else {}
        except UnreadableError:
            return False
        return any(_is_stack(n if n != "array" else item.parts[-1], s) and k.kind == "f" for n, (s, k) in held.items())

    arrays = [i for i in artifacts.items if i.peek is not None]
    for item in [i for i in evenly(arrays, 8 * FILES) if speaks(i)][:FILES]:
        try:
            held = artifacts.read(item).arrays
        except UnreadableError:
            continue
        for name, array in held.items():
            if (
                _is_stack(name if name != "array" else item.parts[-1], array.shape)
                and array.dtype.kind == "f"
                and array.size
            ):
                flat = array.reshape(-1, *array.shape[-2:])[:, :3, :3]
                yield f"{item.name}: {name}", flat[np.unique(np.linspace(0, len(flat) - 1, 4000).astype(int))]


def _is_stack(name: str, shape: tuple[int, ...]) -> bool:
    told = set(words(name)) | {name.lower()}
    return len(shape) >= 2 and shape[-2:] in ((3, 3), (4, 4), (3, 4)) and bool(told & (POSE | set(_FLAT)))


def _described(artifacts: Artifacts) -> Iterator[Description]:
    candidates = [i for i in artifacts.items if i.suffix in (".yaml", ".yml", ".json") and _may_describe(i)]
    for item in evenly(candidates, FILES):
        try:
            plain = artifacts.read(item).plain
        except UnreadableError:
            continue
        for where, record in _records(plain, item.name):
            made = _describe(where, record)
            if made.matrices or made.cameras or made.angles:
                yield made


def _may_describe(item: Item) -> bool:
    if item.size > SIZE:
        return False
    stem = item.parts[-1].rpartition(".")[0]
    told = {w for part in item.parts for w in words(part)}
    return bool(set(words(stem)) & _NAMES or (told & (DATA | _NAMES) and stem.replace("_", "").isdigit()))


def _records(plain: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The records of a file: itself, or the dicts of a list in it (`frames` of a transforms.json)."""
    if isinstance(plain, dict):
        yield name, plain
        lists = [v for v in plain.values() if isinstance(v, list)]
    else:
        lists = [plain] if isinstance(plain, list) else []
    for many in lists:
        for i, one in enumerate(evenly(many, RECORDS)):
            if isinstance(one, dict):
                yield f"{name}[{i}]", one


def _describe(where: str, record: Mapping[str, Any]) -> Description:
    flat = dict(_flat(record, "", 0))
    matrices = {k: m for k, v in flat.items() if _is_pose(k) and (m := _matrix(v)) is not None}
    cameras = tuple(c for k, v in record.items() if isinstance(v, dict) and (c := _camera(str(k), v)) is not None)
    angles = {k: a for k, v in _parents(record) if (a := _angles(v)) is not None}
    return Description(where, matrices, cameras, _numbers(record.get("lidar_pose"), 6), angles)


def _flat(value: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, inner in list(value.items())[:200]:
        if isinstance(inner, dict) and depth < 3:
            yield from _flat(inner, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", inner


def _parents(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", record
    for key, inner in list(record.items())[:50]:
        if isinstance(inner, dict):
            yield f"{key}.", inner


def _is_pose(key: str) -> bool:
    last = key.rpartition(".")[2]
    told = set(words(last)) | {last.lower()}
    return bool(told & (POSE | set(_FLAT))) and not told & {"intrinsic", "intrinsics", "distortion"}


def _matrix(value: Any) -> FloatArray | None:
    array = _array(value)
    if array is None:
        return None
    if array.shape in ((9,), (16,), (12,)):
        array = array.reshape((3, 3) if array.size == 9 else (-1, 4))
    if array.shape not in ((3, 3), (4, 4), (3, 4)):
        return None
    if array.shape == (4, 4) and not np.allclose(array[3], [0, 0, 0, 1], atol=1e-6):
        return None
    return array


def _array(value: Any) -> FloatArray | None:
    if not isinstance(value, list) or not value or len(value) > 64:
        return None
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if np.isfinite(array).all() else None


def _numbers(value: Any, n: int) -> FloatArray | None:
    array = _array(value)
    return array if array is not None and array.shape == (n,) else None


def _angles(record: Mapping[str, Any]) -> FloatArray | None:
    told = [n for k in _ANGLES if (n := number(record.get(k))) is not None]
    return np.array(told) if len(told) == len(_ANGLES) else None


def _camera(name: str, told: Mapping[str, Any]) -> Camera | None:
    size = [v if (v := number(told.get(w))) is not None and v > 0 else None for w in ("width", "height")]
    k = next((m for key in ("intrinsic", "intrinsics", "K", "cam_K", "camera_matrix") if (m := _intrinsic(told.get(key))) is not None), None)  # fmt: skip
    k = _of_angle(told, size) if k is None else k
    if k is None:
        return None
    width, height = (v if v else 2 * float(k[i, 2]) for i, v in enumerate(size))
    extrinsic = _matrix(told.get("extrinsic", told.get("extrinsics")))
    return Camera(name, k, width, height, _mounting(told), extrinsic)


def _of_angle(told: Mapping[str, Any], size: list[Any]) -> FloatArray | None:
    """K of a camera that is told by its horizontal field of view in degrees and its size."""
    fov = next((v for k in ("fov", "hfov", "fov_deg", "horizontal_fov") if (v := number(told.get(k))) is not None), 0.0)
    if not 5 < fov < 175 or None in size:
        return None
    f = size[0] / 2 / np.tan(np.radians(fov) / 2)
    return np.array([[f, 0, size[0] / 2], [0, f, size[1] / 2], [0, 0, 1]])


def _mounting(told: Mapping[str, Any]) -> FloatArray | None:
    """x, y, z, roll, yaw, pitch of `cords`, or of a `yaw` (with roll, pitch, x, y, z where told), in degrees."""
    if number(told.get("yaw")) is not None:
        each = [number(told.get(k, 0.0)) for k in ("x", "y", "z", "roll", "yaw", "pitch")]
        known = [v for v in each if v is not None]
        return np.array(known) if len(known) == len(each) else None
    return _numbers(told.get("cords"), 6)


def _intrinsic(value: Any) -> FloatArray | None:
    k = _matrix(value)
    return (
        k if k is not None and k.shape == (3, 3) and k[0, 0] > 10 and k[1, 1] > 10 and k[0, 2] > 0 < k[1, 2] else None
    )
