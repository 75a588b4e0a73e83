"""`save`: one checkpoint at a path, by every rank together. Also the steps that a manager takes in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from runvet.checkpoints.manifest import Manifest
from runvet.checkpoints.writing import ranks
from runvet.checkpoints.writing.errors import need_torch
from runvet.checkpoints.writing.facts import commit_of, config_hash
from runvet.checkpoints.writing.gather import Gathered, Parts, gather
from runvet.checkpoints.writing.refusal import refuse_empty, refuse_lost, refuse_non_finite
from runvet.checkpoints.writing.sharded import write_sharded
from runvet.checkpoints.writing.write import Facts, Verify, checked_choice, write_full


def save(
    path: str | Path,
    *,
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    ema: Any = None,
    extra: Mapping[str, Any] | None = None,
    step: int | None = None,
    epoch: float | None = None,
    rng: bool = True,
    metrics: Mapping[str, float] | None = None,
    sharded: bool = False,
    loader: int | Sized | None = None,
    config: Any = None,
    allow_non_finite: Sequence[str] = (),
    verify: Verify = "bytes",
) -> Manifest | None:
    """Write one checkpoint, whole and verified or not at all. Every rank must call it; rank 0 writes.

    A path that ends in .pt, .pth, .ckpt, .bin or .tar becomes a file with FILE.manifest.json beside it, any other a
    folder. `model` and `ema` are modules in any wrapper (plain, DDP, FSDP2, torch.compile), several by name, or states;
    `optimizer`, `scheduler` and `scaler` objects with state_dict(), or several by name. `extra` is tensors and plain
    values. `rng` adds every rank's random generators. `sharded` lets each rank write its pieces through
    torch.distributed.checkpoint (a folder). `loader` is batches per epoch, `config` is only hashed. Tensors that match
    a pattern of `allow_non_finite` may hold NaN. `verify="structure"` (not where sharded) neither reads back nor hashes
    the bytes. Returns the manifest on rank 0.

    Raises RefusedCheckpoint for a state that is empty, cut off or not finite, SaveFailed where the disk fails or other
    bytes are read back, TypeError for values that only unpickling could bring back, MissingTorch. After any of them,
    what lay at the path is still there.
    """
    need_torch()
    checked_choice(verify, sharded=sharded)
    parts = Parts(model, optimizer, scheduler, scaler, ema, extra, step, epoch, rng)
    gathered = collected_parts(parts, sharded=sharded)
    facts = facts_of(loader, config, metrics)
    final = Path(path)
    if sharded:
        return write_sharded(final, gathered.state, facts)

    def write() -> Manifest | None:
        if ranks.rank() != 0:
            return None
        refuse_non_finite(gathered.state, allow_non_finite)
        return write_full(final, gathered.state, facts, verify)

    return ranks.together(write)


def collected_parts(
    parts: Parts,
    *,
    sharded: bool = False,
    offload: bool = True,
    before: Mapping[str, tuple[int, ...]] | None = None,
) -> Gathered:
    """Gather, and refuse what is empty or has lost tensors of `before`; collective, with the same outcome everywhere."""
    torch = need_torch()

    def collect() -> Gathered:
        with torch.no_grad():
            gathered = gather(parts, sharded=sharded, offload=offload)
        if sharded or ranks.rank() == 0:
            refuse_empty(gathered.state, gathered.expected)
            if before:
                refuse_lost(judged_shapes(gathered.state), before)
        return gathered

    return ranks.together(collect)


def judged_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes by name of the tensors that must be there again in the next checkpoint."""
    from runvet.checkpoints.writing.inert_state import tensors

    return {
        name: tuple(tensor.shape)
        for part in ("model", "ema", "optimizer")
        for name, tensor in tensors(state.get(part, {}), part)
    }


def facts_of(loader: int | Sized | None, config: Any, metrics: Mapping[str, float] | None) -> Facts:
    """What goes into the manifest beside the state. Raises TypeError for a metric that is no number."""
    return Facts(
        world_size=ranks.world(),
        loader_length=loader if loader is None or isinstance(loader, int) else len(loader),
        commit=commit_of(Path.cwd()),
        config_hash=config_hash(config),
        metrics={name: float(value) for name, value in (metrics or {}).items()},
    )
