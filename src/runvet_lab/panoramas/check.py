"""What can be told of a data set before anything is trained on it: coverage, conventions, depth, masks, views, poses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.base.extra import need
from runvet_lab.panoramas import conventions, cylinder, dataset, opv2v, sensors
from runvet_lab.panoramas.dataset import Views
from runvet_lab.panoramas.losses import entropy
from runvet_lab.panoramas.scene import HEIGHT

F: TypeAlias = npt.NDArray[np.float64]

FRAMES = 24  # frames of agents that are looked at in each split
AGREE = 1e-3  # largest difference of a matrix element between what the angles say and what the file holds
APART = 0.05  # of coverage
TRIVIAL = 0.05  # of the entropy: a mask that a prior of each pixel knows is a constant of the rig


@dataclass(slots=True)
class Checked:
    """`facts` by name; `wrong` and `notes` are sentences: what must be repaired, and what should be known."""

    facts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    arrays: dict[str, dict[str, npt.NDArray[Any]]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """`validate_setup.log`, `setup.json` and the arrays that prove it."""
        folder.mkdir(parents=True, exist_ok=True)
        said = [*self.lines, *(f"WRONG: {one}" for one in self.wrong), *(f"note: {one}" for one in self.notes)]
        (folder / "validate_setup.log").write_text("\n".join(said) + "\n", encoding="utf-8")
        content = {**self.facts, "wrong": self.wrong, "notes": self.notes}
        (folder / "setup.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        for name, held in self.arrays.items():
            np.savez_compressed(folder / f"{name}.npz", **held)  # type: ignore[arg-type]


def check_tree(
    root: Path, *, columns: int = 84, rows: int = 21, crop: bool = False, parallax: bool = True, bilinear: bool = False, euler: str = "carla",
    axes: str = "opencv", depth_root: Path | None = None,
) -> Checked:  # fmt: skip
    """An OPV2V tree as training would read it: by the convention `euler` and with its preprocessing. Raises DataProblem."""
    out = Checked()
    found = [split for split in opv2v.SPLITS if (root / split).is_dir()]
    if not found:
        raise opv2v.DataProblem(f"{root}: none of the folders {', '.join(opv2v.SPLITS)}")
    first: list[opv2v.Frame] = []
    for split in found:
        frames = opv2v.frames(root, split, depth_root)
        first = first or frames
        views = dataset.from_tree(
            root,
            split,
            columns=columns,
            rows=rows,
            crop=crop,
            parallax=parallax,
            bilinear=bilinear,
            depth_root=depth_root,
            euler=euler,
        )
        _of_split(out, "val" if split == "validate" else split, views)
    metas = [opv2v.meta(frame.meta) for frame in _evenly(first)]
    _conventions(out, metas, euler)
    _axes(out, metas, axes)
    _coverage(out, first[0], metas[0], columns, rows)
    _depth_kind(out, first, metas, depth_root or root)
    if bilinear:
        _holes(out, root, found[0], columns, rows, depth_root, parallax=parallax)
    return out


def check_views(splits: dict[str, Views], steps: int) -> Checked:
    """Views that were generated or read already; `steps` is the length of the training loader."""
    out = Checked(facts={"train_loader_length": steps})
    out.lines.append(f"Train dataset length: {steps}")
    for name, views in splits.items():
        _of_split(out, name, views)
    return out


def _of_split(out: Checked, name: str, views: Views) -> None:
    rows, columns = views.mask.shape[1:]
    count = np.bincount(np.unique(views.moment, return_inverse=True)[1])
    share, prior = float(views.mask.mean()), views.mask.mean(0)
    known = np.clip(prior, 1e-6, 1 - 1e-6)
    pixel = float(np.mean(-prior * np.log(known) - (1 - prior) * np.log(1 - known)))
    fill, pairs = float((views.depth > 0).mean()), dataset.pairs(views) if count.max() > 1 else np.zeros((0, 2), int)
    away = (
        np.linalg.norm(views.pose[pairs[:, 0], :2, 3] - views.pose[pairs[:, 1], :2, 3], axis=1)
        if len(pairs)
        else np.zeros(1)
    )
    of = views.mask.mean((1, 2))
    out.lines.append(
        f"split={name} views={int(np.median(count))} camera_model=cyl panorama={columns}x{rows} "
        f"non_ambiguous_mask=[{of.min():.3f}, {of.max():.3f}] depth_fill={fill:.3f} "
        f"pose_norm_median={np.median(away):.2f} pose_norm_max={away.max():.2f}"
    )
    out.facts[name] = {
        "samples": len(views), "views": int(np.median(count)), "mask_share": round(share, 5),
        "mask_entropy": round(entropy(share), 5), "mask_entropy_by_pixel": round(pixel, 5), "depth_fill": round(fill, 5),
        "distance_median_m": round(float(np.median(away)), 3), "distance_max_m": round(float(away.max()), 3),
    }  # fmt: skip
    if 0 < share < 1 and pixel < TRIVIAL * entropy(share):
        out.notes.append(
            f"{name}: the mask is the same in every view (entropy by pixel {pixel:.4f} of {entropy(share):.4f}): a constant of "
            "the rig, whose low loss teaches nothing"
        )
    if fill < 0.2:
        out.notes.append(f"{name}: only {100 * fill:.1f} % of the pixels have depth")


def _conventions(out: Checked, metas: Sequence[opv2v.Meta], used: str) -> None:
    """Which reading of the angles gives the extrinsics that the files hold."""
    tables = [conventions.proof(list(meta.cords), list(meta.extrinsics), list(meta.lidar)) for meta in metas]
    worst = {name: max(table[name] for table in tables) for name in conventions.CONVENTIONS}
    right = [name for name, error in worst.items() if error < AGREE]
    out.facts["conventions"] = {name: round(error, 6) for name, error in worst.items()}
    told = ", ".join(f"{name} {error:.2g}" for name, error in worst.items())
    out.lines.append(
        f"euler convention by the extrinsics: {' or '.join(right) or 'none'} (largest differences: {told})"
    )
    out.lines.append(f"euler_convention: {used}")
    name = conventions.named(used)
    if name not in right:
        known = right[0] if right else "none of the known conventions"
        out.wrong.append(f"angles are read as {name}, off by {worst[name]:.3g}; the extrinsics are those of {known}")


def _axes(out: Checked, metas: Sequence[opv2v.Meta], axes: str) -> None:
    """The poses that a model would get: rotations of determinant 1, or mirrored ones."""
    if axes not in ("opencv", "carla"):
        raise ValueError(f"unknown axes {axes!r}; known are opencv and carla")
    poses = np.stack([conventions.unreal(cord) for meta in metas for cord in meta.cords])
    if axes == "opencv":
        poses = conventions.to_opencv(conventions.from_carla(poses))
    else:  # only the world's axes are exchanged, and CARLA's are left-handed
        poses = conventions.TO_OPENCV @ conventions.MIRROR @ poses
    sign = float(np.median(np.linalg.det(poses[:, :3, :3])))
    out.facts["pose_determinant"] = round(sign, 6)
    out.lines.append(f"cam2world poses: {len(poses)}, median determinant {sign:+.3f}, axes {axes}")
    out.arrays["poses"] = {"cam2world": poses.astype(np.float32)}
    if sign < 0:
        out.wrong.append("poses mirror (determinant -1): left-handed axes were exchanged on one side only")


def _coverage(out: Checked, frame: opv2v.Frame, meta: opv2v.Meta, columns: int, rows: int) -> None:
    """What the rig can see against what the masks say is seen."""
    with need("PIL.Image").open(frame.pictures[0]) as picture:
        size = picture.size
    view = float(np.degrees(2 * np.arctan(size[0] / 2 / meta.intrinsics[0, 0, 0])))
    lidar = conventions.unreal(meta.lidar)
    rig = []
    for cord in meta.cords:
        x, y, z, _, yaw, _ = conventions.angles(np.linalg.inv(lidar) @ conventions.unreal(cord))
        rig.append((x, y, z + HEIGHT, yaw))
    pano = sensors.panorama(columns, rows)
    whole = float(cylinder.coverage(pano, size=size, rig=rig, view=view).mean())
    cut = float(cylinder.coverage(pano, size=size, rig=rig, view=view, cropped_to=(columns, rows)).mean())
    seen = out.facts["train"]["mask_share"]
    out.facts["coverage"] = {"rig": round(whole, 5), "rig_if_cropped": round(cut, 5), "masks": seen}
    out.lines.append(
        f"rig of {len(rig)} cameras of {view:.1f} degrees sees {whole:.3f}; with pictures cut to the panorama's shape {cut:.3f}"
    )
    if abs(seen - whole) > APART:
        why = ", as pictures cut to the panorama's shape do" if abs(seen - cut) < APART else ""
        out.wrong.append(f"masks cover {seen:.3f} of the panorama, the rig sees {whole:.3f}{why}")


def _depth_kind(out: Checked, frames: Sequence[opv2v.Frame], metas: Sequence[opv2v.Meta], root: Path) -> None:
    """Stored depth against the distance to the ground below: flat ground is known without any other measurement."""
    declared = opv2v.depth_kind(root)
    used, ground = [], []
    for frame, meta in zip(_evenly(frames), metas, strict=True):
        stored = np.load(frame.depths[0], allow_pickle=False).astype(float)
        camera = sensors.camera(stored.shape[1], stored.shape[0], np.deg2rad(opv2v.VIEW))
        pose = conventions.from_carla(conventions.unreal(meta.cords[0]))
        fall = camera.rays @ pose[2, :3]
        below = fall < -0.02
        length = np.where(below, pose[2, 3] / np.where(below, -fall, 1), 0)
        long = np.linalg.norm(camera.rays, axis=-1)
        onto = length * long
        read = cylinder.Depth(stored, declared or "ray").along_ray(camera)
        near = below & (onto < dataset.FARTHEST) & (read > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(np.log(read / onto)[..., None] - np.log(long)[..., None] * (-1, 0, 1))
        bare = near & (off.min(-1) < 0.05)  # ground by one of the readings; all else stands on it
        used.append(np.where(bare, read, 0))
        ground.append(np.where(bare, onto, 0))
    slope = _slope(np.stack(used), np.stack(ground), camera)
    out.facts["depth"] = {"declared": declared, "slope_against_ray_length": round(slope, 3)}
    out.lines.append(
        f"depth declared as {declared}; read so, it grows with the ray's length by the power {slope - 1:+.2f} against the ground"
    )
    out.arrays["ground"] = {
        "stored_depth": np.stack(used).astype(np.float32),
        "ground_distance": np.stack(ground).astype(np.float32),
    }
    if slope < 0.5:
        out.wrong.append(f"depth is declared as {declared} and holds z: it is too short by the length of the ray")
    elif slope > 1.5:
        out.wrong.append(f"depth is declared as {declared} and holds the distance along the ray")


def _slope(used: F, ground: F, camera: sensors.Sensor) -> float:
    """1 where depth is what it is read as, 0 where it is z and was read as ray, 2 the other way about."""
    both = (used > 0) & (ground > 0)
    long = np.broadcast_to(np.log(np.linalg.norm(camera.rays, axis=-1)), used.shape)[both]
    if long.size < 50:
        return 1.0
    ratio = np.log(used[both] / ground[both])
    bins = np.quantile(long, np.linspace(0, 1, 9))
    place = np.clip(np.searchsorted(bins, long) - 1, 0, 7)
    x, y = (np.array([np.median(part[place == k]) for k in range(8) if (place == k).any()]) for part in (long, ratio))
    return float(1 + np.polyfit(x, y, 1)[0])


def _holes(
    out: Checked, root: Path, split: str, columns: int, rows: int, depth_root: Path | None, *, parallax: bool
) -> None:
    """Depth as it is sampled against the nearest pixel's: too short where holes are mixed in."""
    one, two = (
        dataset.from_tree(
            root, split, columns=columns, rows=rows, depth_root=depth_root, parallax=parallax, bilinear=mixed
        ).depth[:FRAMES]
        for mixed in (True, False)
    )
    both = (one > 0) & (two > 0)
    ratio = float(np.median(one[both] / two[both])) if both.any() else 1.0
    out.facts["depth_sampled_over_nearest"] = round(ratio, 4)
    out.lines.append(f"depth as sampled over the nearest pixel's: median {ratio:.3f}")
    out.arrays["sampling"] = {"depth_sampled": one, "depth_nearest": two}
    if ratio < 0.9:
        out.wrong.append(f"depth is mixed with holes: {ratio:.2f} of the nearest pixel's, in the median")


def _evenly(frames: Sequence[opv2v.Frame]) -> list[opv2v.Frame]:
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int))
    return [frames[number] for number in chosen]
