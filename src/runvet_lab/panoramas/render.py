"""A sample of a run as pages, pictures, numbers and arrays; nothing of it needs a server or a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from runvet_lab.base.extra import need
from runvet_lab.panoramas import dataset, loading, opv2v, provenance
from runvet_lab.panoramas.data import TREE
from runvet_lab.panoramas.dataset import FARTHEST, Views
from runvet_lab.panoramas.infer import Loaded, infer, load
from runvet_lab.panoramas.scene import HEIGHT
from runvet_lab.panoramas.train import FIXED_COMPASS

PAGES = Path(__file__).parent
POINTS = 200_000  # of one page


@dataclass(frozen=True, slots=True)
class Shown:
    """One view: `colour` (r, c, 3), depths (r, c) in metres, masks (r, c) in 0..1, poses (x, y, heading) in view 0."""

    name: str
    colour: npt.NDArray[np.uint8]
    gt_depth: npt.NDArray[np.float32]
    pred_depth: npt.NDArray[np.float32]
    gt_mask: npt.NDArray[np.float32]
    pred_mask: npt.NDArray[np.float32]
    gt_pose: npt.NDArray[np.float32]
    pred_pose: npt.NDArray[np.float32]
    scale: float
    true_scale: float


def render(
    folder: Path,
    out: Path,
    checkpoint: str,
    split: str,
    index: int,
    pose_source: str = "pred",
    depth_source: str = "pred",
) -> list[Path]:
    """Write everything about one sample of a split; the files. Raises NotARun, ValueError for a missing sample."""
    run = load(folder, checkpoint=checkpoint)
    views = _shown(run, split, index)
    out.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(views, run)
    origin = (
        f"{run.facts['checkpoint']}, epoch {run.facts['epoch']}, step {run.facts['step']}, sha256 "
        f"{run.facts['checkpoint_sha256'][:12]}; commit {provenance.code()['git_commit'][:10] or 'unknown'}; "
        f"config {provenance.config_hash(run.setup.config)}; {split} {index}"
    )
    table = _table(numbers)
    name = f"{folder.resolve().name}: {split} {index}"
    made = [
        _written(out / "panorama.html", panorama_page(views, name, table, origin)),
        _written(out / "pointcloud.html", cloud_page(views, name, table, origin, pose_source, depth_source)),
        *_pictures(out / "views", views),
        *_cache(out / "cache", views),
    ]
    facts = {**run.facts, "git_commit": provenance.code()["git_commit"], "split": split, "index": index,
             "pose_source": pose_source, "depth_source": depth_source}  # fmt: skip
    made.append(_written(out / "summary.json", json.dumps({**facts, **numbers}, indent=1) + "\n"))
    for path in made:
        provenance.beside(path, run.setup.config, **run.facts)
    return made


def preview(data: Path, split: str, index: int, out: Path) -> None:
    """`panorama.html` of one moment of a run's data or of an OPV2V tree, without any model. Raises DataProblem."""
    kept = data / "data" / split / "views.npz"
    views = dataset.load(kept) if kept.exists() else dataset.from_tree(data, TREE[split])
    moments = np.unique(views.moment)
    if not 0 <= index < len(moments):
        raise opv2v.DataProblem(f"{data}: {split} has {len(moments)} moments, there is no number {index}")
    rows = np.flatnonzero(views.moment == moments[index])
    shown = [_bare(views, int(row)) for row in rows]
    page = panorama_page(shown, f"{data.resolve().name}: {split} {index}", [], f"{data.resolve()}", predicted=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


def panorama_page(
    views: Sequence[Shown], name: str, numbers: list[list[str]], origin: str, *, predicted: bool = True
) -> str:
    """A row for each view: colours, depth, masks, and what the model says; values under the pointer."""
    rows, columns = views[0].gt_depth.shape
    held = []
    for view in views:
        one = {"name": view.name, "rgb": _packed(view.colour), "gt_depth": _centimetres(view.gt_depth),
               "gt_mask": _packed(view.gt_mask > 0.5)}  # fmt: skip
        if predicted:
            one |= {"pred_depth": _centimetres(view.pred_depth), "pred_mask": _packed(view.pred_mask * 255)}
        held.append(one)
    content = {"name": name, "rows": rows, "columns": columns, "views": held, "numbers": numbers, "origin": origin}
    return _page("panorama.html", content)


def cloud_page(
    views: Sequence[Shown], name: str, numbers: list[list[str]], origin: str, pose_source: str, depth_source: str
) -> str:
    """All views as points: pose, depth and scale from the model or from the truth. At most POINTS of them."""
    rows, columns = views[0].gt_depth.shape
    step = int(np.ceil(np.sqrt(max(1.0, len(views) * rows * columns / POINTS))))
    part = slice(None, None, step)
    held = [
        {
            "name": view.name,
            "rgb": _packed(view.colour[part, part]),
            "gt_depth": _centimetres(view.gt_depth[part, part]),
            "pred_depth": _centimetres(view.pred_depth[part, part]),
            "gt_pose": [round(float(one), 4) for one in view.gt_pose],
            "pred_pose": [round(float(one), 4) for one in view.pred_pose],
            "scale": round(view.scale, 4),
            "true_scale": round(view.true_scale, 4),
        }
        for view in views
    ]
    small = views[0].gt_depth[part, part].shape
    content = {
        "name": name, "views": held, "rows": small[0], "columns": small[1], "full_rows": rows, "full_columns": columns,
        "step": step, "height": HEIGHT, "pose_source": pose_source, "depth_source": depth_source,
        "numbers": numbers, "origin": origin,
    }  # fmt: skip
    return _page("pointcloud.html", content)


def _shown(run: Loaded, split: str, index: int) -> list[Shown]:
    held = run.setup.held.get(split)
    if held is None or not 0 <= index < len(held):
        raise ValueError(f"{split} has {0 if held is None else len(held)} samples, there is no number {index}")
    batch = loading.batch(held, torch.tensor([index]), noise=run.setup.config.train.compass_noise, seed=FIXED_COMPASS)
    colour = held.colour[held.rows[[index]]].numpy()
    out = infer(run.setup.model, colour, batch.compass, run.setup.config.infer.preprocess)
    truth, metres, mask = batch.truth, out.metres.cpu().numpy(), out.mask.sigmoid().cpu().numpy()
    poses = [torch.cat([one.move[0, 0], one.turn[0, 0][:, None]], -1).cpu().numpy() for one in (truth, out)]
    return [
        Shown(
            f"car {view}",
            colour[0, view],
            truth.depth[0, view].numpy(),
            metres[0, view],
            truth.mask[0, view].float().numpy(),
            mask[0, view],
            poses[0][view],
            poses[1][view],
            float(out.scale[0, view].exp()),
            float(truth.scale[0, view].exp()),
        )
        for view in range(metres.shape[1])
    ]


def _bare(views: Views, row: int) -> Shown:
    pose = np.zeros(3, np.float32)
    mask = views.mask[row].astype(np.float32)
    return Shown(
        f"car {views.agent[row]}",
        views.colour[row],
        views.depth[row],
        views.depth[row],
        mask,
        mask,
        pose,
        pose,
        1.0,
        1.0,
    )


def _numbers(views: Sequence[Shown], run: Loaded) -> dict[str, Any]:
    """Errors of each view beside what predictors reach that look at nothing."""
    prior, out = run.setup.prior, []
    for view in views:
        there = view.gt_depth > 0
        real, got = view.gt_depth[there], view.pred_depth[there]
        union = ((view.pred_mask > 0.5) | (view.gt_mask > 0.5)).sum()
        both = ((view.pred_mask > 0.5) & (view.gt_mask > 0.5)).sum()
        turn = np.degrees((view.pred_pose[2] - view.gt_pose[2] + np.pi) % (2 * np.pi) - np.pi)
        out.append(
            {
                "name": view.name,
                "camera_model": "cyl",
                "depth_absrel": _round(np.mean(np.abs(got / real - 1))),
                "depth_absrel_baseline": _round(np.mean(np.abs(prior.depth[there] / real - 1))),
                "depth_rmse_m": _round(np.sqrt(np.mean((got - real) ** 2))),
                "depth_min_m": _round(got.min()),
                "depth_max_m": _round(got.max()),
                "metric_scale": _round(view.scale),
                "metric_scale_true": _round(view.true_scale),
                "pose_error_m": _round(np.linalg.norm(view.pred_pose[:2] - view.gt_pose[:2])),
                "pose_error_m_baseline": _round(np.linalg.norm(prior.move - view.gt_pose[:2])),
                "pose_error_deg": _round(abs(turn)),
                "pred_mask_mean": _round(view.pred_mask.mean()),
                "gt_mask_mean": _round(view.gt_mask.mean()),
                "mask_iou": _round(both / union if union else 1.0),
                "points": int((there & (view.pred_depth < FARTHEST)).sum()),
            }
        )
    out[0] |= {
        "pose_error_m": 0.0,
        "pose_error_m_baseline": 0.0,
        "pose_error_deg": 0.0,
    }  # the frame that all are told in
    return {"views": out}


def _table(numbers: dict[str, Any]) -> list[list[str]]:
    views = numbers["views"]
    lines = [["", *(view["name"] for view in views)]]
    for key, words in (
        ("depth_absrel", "depth AbsRel"), ("depth_absrel_baseline", "… per-pixel mean"), ("metric_scale", "scale, m"),
        ("metric_scale_true", "… true"), ("pose_error_m", "pose, m off"), ("pose_error_m_baseline", "… mean predictor"),
        ("pose_error_deg", "heading, ° off"), ("mask_iou", "mask IoU"),
    ):  # fmt: skip
        lines.append([words, *(f"{view[key]:.3g}" for view in views)])
    return lines


def _pictures(folder: Path, views: Sequence[Shown]) -> list[Path]:
    """PNGs of each view: colours, depths, masks, and its points from above."""
    image, made = need("PIL.Image"), []
    folder.mkdir(exist_ok=True)
    for number, view in enumerate(views):
        parts = {
            "rgb": view.colour,
            "depth_gt": _grey(view.gt_depth),
            "depth_pred": _grey(view.pred_depth),
            "mask_gt": (view.gt_mask * 255).astype(np.uint8),
            "mask_pred": (view.pred_mask * 255).astype(np.uint8),
            "cloud": _from_above(view),
        }
        for kind, pixels in parts.items():
            path = folder / f"{number}_{kind}.png"
            image.fromarray(pixels).save(path)
            made.append(path)
    return made


def _from_above(view: Shown, size: int = 240, reach: float = 50.0) -> npt.NDArray[np.uint8]:
    """Predicted points splatted on a map of 2 · `reach` metres, forward up."""
    from runvet_lab.panoramas.sensors import panorama

    rows, columns = view.pred_depth.shape
    there = view.gt_depth > 0
    point = (panorama(columns, rows).rays * view.pred_depth[..., None])[there]
    place = np.floor((reach - point[:, :2]) / (2 * reach) * size).astype(int)
    inside = ((place >= 0) & (place < size)).all(1)
    order = np.argsort(point[inside, 2], kind="stable")  # the highest is drawn last
    out = np.full((size, size, 3), 20, np.uint8)
    out[place[inside][order, 0], place[inside][order, 1]] = view.colour[there][inside][order]
    return out


def _cache(folder: Path, views: Sequence[Shown]) -> list[Path]:
    """Arrays of each view, and an index with their shapes and digests."""
    folder.mkdir(exist_ok=True)
    made, index = [], {}
    for number, view in enumerate(views):
        for kind, array in (("depth", view.pred_depth), ("pose", view.pred_pose), ("mask", view.pred_mask)):
            path = folder / f"{number}_{kind}.npy"
            np.save(path, array)
            index[path.name] = {
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                "sha256": provenance.digest(path),
            }
            made.append(path)
    return [*made, _written(folder / "index.json", json.dumps(index, indent=1) + "\n")]


def _grey(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Near white, far dark, unknown black; by the logarithm."""
    place = np.log(np.clip(depth, 1.0, FARTHEST)) / np.log(FARTHEST)
    return np.where(depth > 0, 255 - 235 * place, 0).astype(np.uint8)


def _packed(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).astype(np.uint8).tobytes()).decode()


def _centimetres(depth: npt.NDArray[np.float32]) -> str:
    """uint16 centimetres, little-endian."""
    return base64.b64encode(np.clip(np.rint(depth * 100), 0, 65535).astype("<u2").tobytes()).decode()


def _page(name: str, content: dict[str, Any]) -> str:
    """The page with its data as JSON that can't end the element it stands in."""
    text = json.dumps(content).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return (PAGES / name).read_text(encoding="utf-8").replace("__DATA__", text)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _round(value: Any) -> float:
    return float(f"{float(value):.6g}")
