"""The splits that a configuration asks for: generated exactly, or fused from an OPV2V tree, kept in the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runvet_lab.panoramas import dataset, opv2v
from runvet_lab.panoramas.config import Config
from runvet_lab.panoramas.dataset import Views

SEEDS = {"train": 0, "val": 1, "newtown": 2}  # other drives, even through the same town
TREE = {"train": "train", "val": "validate", "newtown": "test"}


def splits(config: Config, folder: Path) -> dict[str, Views]:
    """`train`, `val` (known towns) and `newtown`, read from `folder/data` where they were made before.

    Raises DataProblem for a tree that can't be used.
    """
    return {name: _split(config, folder / "data" / name / "views.npz", name) for name in SEEDS if _wanted(config, name)}


def _wanted(config: Config, name: str) -> bool:
    if config.data.root:
        return (Path(config.data.root) / TREE[name]).is_dir()
    return name != "newtown" or bool(config.data.new_towns)


def _split(config: Config, path: Path, name: str) -> Views:
    if path.exists():
        return dataset.load(path)
    made = _fused(config, name) if config.data.root else _generated(config, name)
    made.save(path)
    return made


def _fused(config: Config, name: str) -> Views:
    data = config.data
    depth = Path(data.depth_root) if data.depth_root else None
    return dataset.from_tree(
        Path(data.root),
        TREE[name],
        columns=data.columns,
        rows=data.rows,
        depth_root=depth,
        crop=data.crop,
        parallax=data.parallax,
        bilinear=data.bilinear,
        euler=data.euler_order,
    )


def _generated(config: Config, name: str) -> Views:
    data = config.data
    if data.mask not in dataset.MASKS:
        raise opv2v.DataProblem(f"unknown mask {data.mask!r}; known are {', '.join(dataset.MASKS)}")
    seed = SEEDS["train" if name == "val" and data.val_is_train else name]
    made = dataset.generate(
        {"newtown": data.new_towns, "val": data.val_towns or data.towns}.get(name, data.towns),
        drives=data.drives if name == "train" else data.val_drives,
        agents=data.agents,
        steps=data.steps,
        every=data.every,
        columns=data.columns,
        rows=data.rows,
        mask=data.mask,
        slope=data.slope,
        seed=3 * config.seed + seed,
        backend=data.backend,
        device=data.device,
    )
    if name == "val" and data.val_inverted:
        broken = made.mask[round(len(made.mask) * (1 - data.val_inverted)) :]
        np.logical_not(broken, out=broken)
    return made
