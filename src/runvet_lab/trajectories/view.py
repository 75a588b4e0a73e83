"""One offline page: each sample's two pictures, its text, and the paths in plan view, the worst first."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.base.extra import need
from runvet_lab.trajectories import metrics
from runvet_lab.trajectories.samples import Pictures
from runvet_lab.trajectories.setup import NotARun, load

PAGE = Path(__file__).with_name("view.html")
MOST = 400  # samples of one page: some 4 MB


def page(folder: Path, count: int) -> str:
    """The page of a run that has been evaluated. Raises NotARun."""
    try:
        with np.load(folder / "predictions.npz", allow_pickle=False) as file:
            held = {name: file[name] for name in ("pred", "gt", "constant_velocity", "id", "speed")}
        numbers = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, KeyError, ValueError) as error:
        raise NotARun(f"{folder}: not evaluated yet ({error}); run `runvet-lab trajectories eval {folder}`") from None
    setup, _ = load(folder)
    found = setup.found["val"]
    place = {name: row for row, name in enumerate(found.ids)}
    off = np.linalg.norm(held["pred"] - held["gt"], axis=-1).mean(axis=1)
    order = np.argsort(-off)
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(count, MOST, len(order))).round().astype(int))]
    samples = []
    for row in chosen:
        at = place[str(held["id"][row])]
        samples.append(
            {
                "id": str(held["id"][row]),
                "text": found.texts[at],
                "speed": round(float(held["speed"][row]), 1),
                "ade": round(float(off[row]), 2),
                "vehicle": _png(found.vehicle[at]),
                "roadside": _png(found.roadside[at]),
                **{key: np.round(held[key][row], 2).tolist() for key in ("gt", "pred", "constant_velocity")},
            }
        )
    content = {"name": folder.resolve().name, "samples": samples, "horizons": _horizons(held), "metrics": numbers}
    return PAGE.read_text(encoding="utf-8").replace("__DATA__", _inert(content))


def _horizons(held: dict[str, Any]) -> list[dict[str, float]]:
    """Both definitions of L2 at each horizon, for the model and for constant velocity."""
    own, simple = (metrics.errors(held[key], held["gt"]) for key in ("pred", "constant_velocity"))
    return [
        {
            "seconds": seconds,
            **{
                f"{who}_{kind}": round(part[f"l2_{kind}_{seconds}s"], 3)
                for who, part in (("model", own), ("cv", simple))
                for kind in ("at", "upto")
            },
        }
        for seconds in metrics.HORIZONS
    ]


def _png(picture: Pictures) -> str:
    out = io.BytesIO()
    need("PIL.Image").fromarray(picture).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def _inert(content: Any) -> str:
    """JSON that can't end the element it stands in."""
    return json.dumps(content).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
