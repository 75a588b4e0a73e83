"""How far the weights of two checkpoints are apart, module by module."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runvet import report
from runvet.checkpoints.difference import Change, changes
from runvet.checkpoints.model import Checkpoint, Role
from runvet.checkpoints.places import Place
from runvet.evidence.weights import bare

_FLAT = re.compile(r"(?:^|\.)(?:fp32_flat_groups|single_partition_of_fp32_groups)\.\d+$")


@dataclass(frozen=True, slots=True)
class ModuleChange:
    """How far one module moved: ‖ΔW‖/‖W‖ in the 2-norm over its tensors, and the largest change of one weight."""

    name: str
    tensors: int
    parameters: int
    relative: float
    largest: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Two checkpoints by modules, with the names that only one of them has (or has in another shape)."""

    before: str
    after: str
    modules: tuple[ModuleChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


def difference(root: Place, found: Sequence[Checkpoint], before: str, after: str) -> Difference:
    """Compare two of the listed checkpoints, named by their path or their step, value by value.

    Raises LookupError where a name fits none or several, Damaged or Unread where values cannot be read, OSError.
    """
    a, b = pick(found, before), pick(found, after)
    base = root if root.is_dir() else root.parent
    made: list[Change] = list(changes(base, a, b))
    wanted = _wanted(b)
    groups: dict[str, list[Change]] = {}
    for change in made:
        plain = change.name.rpartition(":")[2]
        role = wanted.get(plain)
        if role is not None:
            groups.setdefault(("ema: " if role == "ema" else "") + _module(plain), []).append(change)
    same = {c.name.rpartition(":")[2] for c in made}
    names = [set(_wanted(c)) for c in (a, b)]
    return Difference(
        a.path,
        b.path,
        tuple(_joined(name, many) for name, many in groups.items()),
        tuple(sorted(names[0] - same)),
        tuple(sorted(names[1] - same)),
    )


def pick(found: Sequence[Checkpoint], name: str) -> Checkpoint:
    """The checkpoint of a path (or its end) or of a step. Raises LookupError with what there is."""
    wanted = name.strip().rstrip("/").removeprefix("./")
    exact = [c for c in found if c.path == wanted] or [
        c for c in found if f"/{c.path}".endswith(f"/{wanted}") or f"/{wanted}".endswith(f"/{c.path}")
    ]
    if not exact and wanted.isdigit():
        exact = [c for c in found if c.step == int(wanted)]
    if len(exact) == 1:
        return exact[0]
    if not exact:
        raise LookupError(
            f"no checkpoint {name!r}; there are {', '.join(c.path for c in found[:6])}{' …' if len(found) > 6 else ''}"
        )
    raise LookupError(f"{name!r} means several: {', '.join(c.path for c in exact[:6])}")


def _wanted(checkpoint: Checkpoint) -> dict[str, Role]:
    """The tensors that are compared, with their roles: weights and averages.

    DeepSpeed at stage 3 keeps the weights in the optimizer's files, flat: then these are compared.
    """
    weights: dict[str, Role] = {t.name: t.role for t in checkpoint.tensors if t.role in ("model", "ema") and t.elements}
    if weights:
        return weights
    flat = {t.name: t.role for t in checkpoint.tensors if _FLAT.search(t.name)}
    return flat or {t.name: t.role for t in checkpoint.tensors if t.role in ("model", "ema")}


def _module(name: str) -> str:
    """The module of a weight to the depth of two names: `encoder.0` for `model.encoder.0.attn.weight`."""
    parts = bare(name).split(".")
    return ".".join(parts[:2] if len(parts) > 2 else parts[:1])


def _joined(name: str, many: Sequence[Change]) -> ModuleChange:
    distance = math.sqrt(sum(c.distance**2 for c in many))
    norm = math.sqrt(sum(c.norm**2 for c in many))
    relative = distance / norm if norm else (math.inf if distance else 0.0)
    relative = relative if math.isfinite(distance) and math.isfinite(norm) else math.nan
    return ModuleChange(name, len(many), sum(c.elements for c in many), relative, max(c.largest for c in many))


def difference_dict(made: Difference) -> Mapping[str, Any]:
    """A difference as JSON values; what is not finite is null."""
    modules = [{k: report.number(v) for k, v in asdict(m).items()} for m in made.modules]
    return {"schema_version": 1, "before": made.before, "after": made.after, "modules": modules,
            "only_before": list(made.only_before), "only_after": list(made.only_after)}  # fmt: skip
