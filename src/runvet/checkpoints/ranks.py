"""Files of ranks that a checkpoint's own numbers promise: DeepSpeed's and Megatron's names carry no count.

Layouts: deepspeed/runtime/engine.py (`_get_zero_ckpt_name`), megatron/training/checkpointing.py (`get_checkpoint_name`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runvet.checkpoints.model import Scalar

MEGATRON = re.compile(r"^mp_rank_(\d{2,4})(?:_(\d{3}))?(?:_(\d{3}))?$")
_ZERO = re.compile(
    r"^(?P<before>(?:bf16_|fp16_)?zero_pp_rank_)(?P<rank>\d+)(?P<after>_mp_rank_(?P<mp>\d+)_(?:optim|model)_states\.pt)$"
)
_MOST = 100_000  # ranks


def missing(layout: str, paths: Sequence[str], plain: Mapping[str, Scalar]) -> tuple[list[str], int]:
    """Names of the files (DeepSpeed) or folders (Megatron) that are not there, and of how many.

    `paths` are those of the parts; `plain` holds the sizes of the process groups as the model's file states them.
    """
    if layout == "deepspeed":
        return _deepspeed([p.rpartition("/")[2] for p in paths], plain)
    if layout == "megatron":
        return _megatron({f for p in paths for f in p.split("/")[:-1] if MEGATRON.match(f)}, plain)
    return [], 0


def _deepspeed(names: Sequence[str], plain: Mapping[str, Scalar]) -> tuple[list[str], int]:
    """Every data-parallel rank writes its part of the optimizer (and of the weights at stage 3) for each model rank."""
    ranks = _number(plain, "dp_world_size")
    kinds = {(m["before"], m["after"]) for n in names if (m := _ZERO.match(n))}
    if not kinds or not 0 < ranks * len(kinds) <= _MOST:
        return [], 0
    wanted = [f"{before}{rank}{after}" for before, after in sorted(kinds) for rank in range(ranks)]
    there = set(names)
    return [w for w in wanted if w not in there], len(wanted)


def _megatron(folders: set[str], plain: Mapping[str, Scalar]) -> tuple[list[str], int]:
    """One folder for each tensor-parallel rank, times pipeline stages where there are several."""
    tensor = _number(plain, "args.tensor_model_parallel_size")
    pipeline = max(1, _number(plain, "args.pipeline_model_parallel_size"))
    staged = any(f.count("_") > 2 for f in folders)
    if not folders or any(f.count("_") > 3 for f in folders) or not 0 < tensor * pipeline <= _MOST:
        return [], 0  # experts have a number of their own
    if pipeline > 1 and not staged:
        return [], 0
    wanted = [
        f"mp_rank_{t:02d}" + (f"_{p:03d}" if staged else "")
        for t in range(tensor)
        for p in range(pipeline if staged else 1)
    ]
    return [w for w in wanted if w not in folders], len(wanted)


def _number(plain: Mapping[str, Scalar], key: str) -> int:
    value = plain.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
