"""Sharded checkpoints: each rank's pieces through torch.distributed.checkpoint, plain values and small states beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.folder_formats import read_distributed_folder
from runvet.checkpoints.manifest import Manifest
from runvet.checkpoints.writing import atomic, ranks
from runvet.checkpoints.writing.errors import RefusedCheckpoint, SaveFailed, need_torch
from runvet.checkpoints.writing.inert_state import inert, merged, split, tensors
from runvet.checkpoints.writing.write import STATE, Facts, described, failed, write_state

METADATA = ".metadata"


def write_sharded(final: Path, state: Mapping[str, Any], facts: Facts) -> Manifest | None:
    """Write one sharded checkpoint, a folder; collective. The manifest on rank 0, None elsewhere.

    Rank 0 verifies statically: every tensor by name, shape and type, no missing file, all values finite. Raises
    SaveFailed or RefusedCheckpoint, on every rank.
    """
    from torch.distributed.checkpoint.state_dict_saver import save

    made = Path(ranks.told(str(atomic.temporary(final))))
    plain, apart = split(state, lambda name: name.split(".")[0] in ("model", "ema", "optimizer"))

    def begin() -> None:
        if ranks.rank() == 0:
            made.mkdir(parents=True)

    def shards() -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*single process")
            save(dict(apart), checkpoint_id=made)

    def finish() -> Manifest | None:
        return _finish(made, final, plain, apart, state, facts) if ranks.rank() == 0 else None

    try:
        for part in (begin, shards):
            ranks.together(partial(_named, final, part))
        return ranks.together(partial(_named, final, finish))
    finally:
        if ranks.rank() == 0:
            atomic.remove(made)


def _named(final: Path, act: Callable[[], ranks.Result]) -> ranks.Result:
    """Errors of the disk, and the class of its own in which torch tells those of other ranks, as SaveFailed."""
    try:
        return act()
    except (RefusedCheckpoint, SaveFailed):
        raise
    except Exception as error:
        raise failed(final, error) from error


def read_sharded(folder: Path, device: Any = "cpu") -> dict[str, Any]:
    """The whole state of a sharded checkpoint in this process. Its metadata are checked statically before torch reads them.

    Raises SaveFailed where they name a callable that no checkpoint needs, OSError where something is missing.
    """
    torch = need_torch()
    seen = checked(folder)
    apart = {t.name: torch.empty(t.shape, dtype=getattr(torch, t.dtype), device=device) for t in seen.tensors}
    plain = torch.load(folder / STATE, weights_only=True, map_location=device)
    fill(folder, apart, alone=True)
    whole: dict[str, Any] = merged(plain, apart)
    return whole


def fill(folder: Path, apart: dict[str, Any], *, alone: bool = False) -> None:
    """Fill tensors, whole or spread over ranks, in place; collective unless `alone`."""
    from torch.distributed.checkpoint.state_dict_loader import load

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*single process")
        load(apart, checkpoint_id=folder, no_dist=alone or ranks.world() == 1)


def checked(folder: Path) -> Any:
    """The checkpoint as the static reader sees it. Raises SaveFailed where it would run code or can't be read."""
    seen = read_distributed_folder(folder, folder.name, None, deep=False)
    if seen.foreign or seen.problems:
        why = seen.problems[0].message if seen.problems else f"it names {', '.join(seen.foreign[:4])}"
        raise SaveFailed(f"{folder} is not loaded: {why}")
    return seen


def _finish(
    made: Path, final: Path, plain: Any, apart: Mapping[str, Any], state: Mapping[str, Any], facts: Facts
) -> Manifest:
    entry, (count, elements) = write_state(made / STATE, STATE, inert(plain))
    seen = read_distributed_folder(made, final.name, None, deep=True)
    for problem in seen.problems:
        kind = RefusedCheckpoint if problem.name == "non-finite-weights" else SaveFailed
        raise kind(f"{final.name} was not saved: {problem.message}")
    read = {t.name: (t.shape, t.dtype) for t in seen.tensors}
    for name, tensor in apart.items():
        want = tuple(tensor.shape), str(tensor.dtype).rpartition(".")[2]
        if read.get(name) != want:
            raise SaveFailed(f"{final.name} was not saved: tensor {name} is {want}, read back {read.get(name)}")
    names = sorted(p.name for p in made.iterdir() if p.name != STATE)
    for name in names:
        atomic.sync(made / name)
    entries = (entry, *(manifests.entry(made, n) for n in names))
    counts = count + len(apart), elements + sum(t.numel() for t in apart.values())
    manifest = replace(described(state, entries, counts, facts), layout="sharded")
    atomic.fill(made / manifests.NAME, manifest.to_json())
    atomic.commit_folder(made, final)
    return manifest


def parameter_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of a state by name, global ones where they are spread."""
    return {name: tuple(t.shape) for name, t in tensors(state)}
