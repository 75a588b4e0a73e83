"""From read files to checkpoints: parts joined, steps settled, shards counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from runvet.checkpoints import ranks
from runvet.checkpoints.candidates import Folder
from runvet.checkpoints.folders import RANK, SHARD, Plan
from runvet.checkpoints.judge import hollow_tensors
from runvet.checkpoints.model import Checkpoint, Scalar, Values
from runvet.checkpoints.names import counted, epoch_of, step_of
from runvet.checkpoints.problems import Problem

JSON_LIMIT = 64 << 20


def assembled(plan: Plan, read: Mapping[str, Checkpoint]) -> Checkpoint | None:
    """The checkpoint of a plan from its files' results by relative path; None where nothing of it is one."""
    if plan.kind != "set" and not plan.parts:
        found = read.get(plan.relative)
        return named(found, plan.name) if found else None
    parts = [p for part in plan.parts if (p := assembled(part, read)) is not None]
    whole = read.get(plan.relative) if plan.kind == "distributed" else None
    if whole is not None:
        return _with_parts(whole, parts, plan)
    return _joined(plan, parts) if parts else None


def named(found: Checkpoint, name: str) -> Checkpoint:
    """A checkpoint with the step and epoch of its name, which count where it does not say them inside."""
    step, epoch = step_of(name), epoch_of(name)
    if found.kind == "keras" and step is not None and epoch is None and found.file_epoch is None:
        epoch = float(step)  # Keras numbers its files by epochs
    return replace(
        found,
        name_step=step,
        name_epoch=epoch,
        step=found.file_step if found.file_step is not None else step,
        epoch=found.file_epoch if found.file_epoch is not None else epoch,
    )


def _with_parts(whole: Checkpoint, parts: list[Checkpoint], plan: Plan) -> Checkpoint:
    """A distributed folder with torch files beside its blocks: their values say what step it is."""
    plain = dict(whole.plain)
    for part in parts:
        plain.update({k: v for k, v in part.plain.items() if k not in plain})
    step, epoch = counted(plain)
    made = replace(
        whole,
        plain=plain,
        file_step=step,
        file_epoch=epoch,
        parts=(*whole.parts, *parts),
        tensors=whole.tensors + tuple(t for p in parts for t in p.tensors),
    )
    if whole.values is not None:
        made = replace(made, values=Values.joined([whole.values, *(p.values or Values.empty() for p in parts)]))
    return named(made, plan.name)


def _joined(plan: Plan, parts: list[Checkpoint]) -> Checkpoint:
    folder = plan.folder
    assert folder is not None
    plain = _plain(plan, parts, folder)
    step, epoch = counted(plain) if plan.layout != "huggingface" or "global_step" in plain else (None, None)
    problems = [*_shards(plan, parts, folder, plain), *_from_parts(plan, parts)]
    tensors = tuple(t for p in parts for t in p.tensors)
    scanned = all(p.values is not None or not p.tensors for p in parts) and any(p.values is not None for p in parts)
    base = Checkpoint(
        plan.relative,
        parts[0].format if len({p.format for p in parts}) == 1 else "mixed",
        bytes=sum(p.bytes for p in parts),
        modified=max(p.modified for p in parts),
        kind=plan.layout or next((p.kind for p in parts if p.kind), ""),
        file_step=step,
        file_epoch=epoch,
        tensors=tensors,
        values=Values.joined([p.values for p in parts if p.values is not None]) if scanned else None,
        plain=plain,
        problems=tuple(problems),
        foreign=tuple(sorted({n for p in parts for n in p.foreign})),
        dangerous=tuple(sorted({n for p in parts for n in p.dangerous})),
        empty_states=tuple(n for p in parts for n in p.empty_states),
    )
    made = named(base, plan.name)
    if plan.layout == "accelerate":  # its folders count saves, not steps
        made = replace(made, name_step=None, step=step)
    if made.step is None and (made.name_epoch is None):
        made = replace(
            made, step=next((p.step for p in parts if p.step is not None and plan.layout != "accelerate"), None)
        )
    inner = tuple(
        replace(
            p,
            step=made.step if p.file_step is None else p.step,
            epoch=p.epoch if p.file_epoch is not None else made.epoch,
        )
        for p in parts
    )
    return replace(made, parts=inner)


def _plain(plan: Plan, parts: list[Checkpoint], folder: Folder) -> dict[str, Scalar]:
    """The values of the parts, those of the model's file first; schedulers and random states keep theirs to themselves."""
    plain: dict[str, Scalar] = {}
    state = _json(folder, "trainer_state.json") if folder.relative == plan.relative or plan.relative == "." else {}
    for key, value in state.items():
        if isinstance(value, (str, int, float, bool)) or value is None:
            plain[str(key)] = value
    quiet = re.compile(r"(?:scheduler|random_states|rng_state|scaler|training_args)[^/]*$")
    for part in sorted(parts, key=lambda p: bool(re.search(r"(?i)optim", p.path.rpartition("/")[2]))):
        if not quiet.search(part.path):
            plain.update({k: v for k, v in part.plain.items() if k not in plain})
        else:
            prefix = part.path.rpartition("/")[2].partition(".")[0]
            plain.update({f"{prefix}.{k}": v for k, v in part.plain.items()})
    return plain


def _from_parts(plan: Plan, parts: list[Checkpoint]) -> list[Problem]:
    """Problems of the parts under their names; emptiness is judged over the whole."""
    problems = []
    for part in parts:
        name = part.path.rpartition("/")[2]
        problems += [Problem(p.name, f"{name}: {p.message}") for p in part.problems if p.name != "empty-checkpoint"]
    models = [t for p in parts for t in p.tensors if t.role in ("model", "ema")]
    empty = [(part, p) for part in parts for p in part.problems if p.name == "empty-checkpoint"]
    if empty and plan.layout != "deepspeed":
        what = "; ".join(f"{part.path.rpartition('/')[2]} {p.message}" for part, p in empty[:4])
        problems.append(Problem("empty-checkpoint", what))
    elif not models and not problems and not any(p.tensors for p in parts):
        problems.append(Problem("empty-checkpoint", f"none of its {len(parts)} files holds a tensor"))
    elif plan.layout != "deepspeed" and not empty:
        problems += hollow_tensors(models)
    return problems


def _shards(plan: Plan, parts: list[Checkpoint], folder: Folder, plain: Mapping[str, Scalar]) -> list[Problem]:
    """Files that an index, the numbers in the names or the stated sizes of groups promise and that are not there."""
    there = {p.path.rpartition("/")[2] for p in parts} | set(folder.files)
    missing: list[str] = []
    total = 0
    for name in sorted(folder.files):
        if name.endswith(".index.json") and (plan.relative == (folder.relative or ".")):
            weight_map = _json(folder, name).get("weight_map")
            wanted = {str(v) for v in weight_map.values()} if isinstance(weight_map, dict) else set()
            total += len(wanted)
            missing += [w[:120] for w in sorted(wanted) if w not in there]
    if not missing:
        missing, total = _numbered(sorted(p.path.rpartition("/")[2] for p in parts))
    if not missing:
        missing, total = ranks.missing(plan.layout, [p.path for p in parts], plain)
    if not missing:
        return []
    return [
        Problem(
            "missing-shards",
            f"{len(missing)} of {total} files are missing: {', '.join(missing[:4])}{' …' if len(missing) > 4 else ''}",
        )
    ]


def _numbered(names: list[str]) -> tuple[list[str], int]:
    """Gaps in `model-00001-of-00003`, `rank_3_world_size_8` and plain `rank_3`; names of what is missing, and of how many."""
    groups: dict[tuple[str, str, int | None], set[int]] = defaultdict(set)
    for name in names:
        found = SHARD.match(name)
        if found:
            groups[(found["base"], "of", int(found["count"]))].add(int(found["index"]))
            continue
        found = RANK.match(name)
        if found:
            count = found["count"] or found["before"]
            groups[(found["base"] + "rank", found["rest"], int(count) if count else None)].add(int(found["index"]))
    missing: list[str] = []
    total = 0
    for (base, rest, count), indices in groups.items():
        first = 1 if rest == "of" else 0
        size = count if count is not None else max(indices) + 1
        if not 0 < size <= 1_000_000:
            continue
        total += size
        gone = size - len(indices & set(range(first, first + size))) if size > 10_000 else 0
        missing += [f"{base}_{i}" for i in range(first, first + min(size, 10_000)) if i not in indices] or ["…"] * min(
            gone, 1
        )
    return missing, total


def _json(folder: Folder, name: str) -> dict[str, Any]:
    """A JSON object beside the weights; {} where it cannot be read. NaN and Infinity, which Python writes, are allowed."""
    place = folder.path / name
    if name not in folder.files or folder.files[name][0] > JSON_LIMIT:
        return {}
    try:
        text = place.read_bytes()
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = orjson.loads(re.sub(rb"(?<=[:\[, ])(?:NaN|-?Infinity)(?=[,\]}\s])", b"null", text))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
