"""Checkpoints as the `checkpoints` list of the JSON contract, schema_version 1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runvet.checkpoints.model import Checkpoint


def to_json(path: str | Path, checkpoints: Iterable[Checkpoint]) -> dict[str, Any]:
    """The `checkpoints` part of what `runvet checkpoints PATH --format json` prints, as JSON values.

    `trusted` is for the rules to add.
    """
    return {"schema_version": 1, "path": str(path), "checkpoints": [entry(c) for c in checkpoints]}


def entry(checkpoint: Checkpoint) -> dict[str, Any]:
    """One checkpoint, its parts in the same form."""
    epoch = checkpoint.epoch
    made: dict[str, Any] = {
        "path": checkpoint.path,
        "step": checkpoint.step,
        "epoch": None if epoch is None or not math.isfinite(epoch) else int(epoch) if epoch == int(epoch) else epoch,
        "format": checkpoint.format,
        "kind": checkpoint.kind or None,
        "bytes": checkpoint.bytes,
        "tensors": len(checkpoint.tensors),
        "parameters": checkpoint.parameters,
        "dtypes": checkpoint.dtypes,
        "finite": checkpoint.finite,
        "groups": {role: {"tensors": g.tensors, "parameters": g.parameters} for role, g in checkpoint.groups.items()},
        "usable": checkpoint.usable,
        "problems": [{"rule": p.code, "name": p.name, "message": p.message} for p in checkpoint.problems],
    }
    if checkpoint.foreign:
        made["foreign"] = list(checkpoint.foreign)
    if checkpoint.parts:
        made["parts"] = [entry(p) for p in checkpoint.parts]
    return made
