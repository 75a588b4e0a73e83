"""Reading and judging every checkpoint below a path, with the logs beside them."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from runvet import api, verdict
from runvet.audit import Audit, Row
from runvet.beside import beside
from runvet.checkpoints.places import Place, RemotePath
from runvet.checkpoints.resume import state
from runvet.config import Config, find
from runvet.evidence.artifact_groups import owner
from runvet.evidence.checkpoints import Checkpoints, broken, of
from runvet.evidence.weights import moved
from runvet.run import Run


def audit(
    path: Place,
    config: Config | None = None,
    *,
    deep: bool = False,
    executor: Executor | None = None,
    cache: bool = True,
) -> Audit:
    """Read and judge the checkpoints at or below a path, with the logs beside them. Nothing is executed.

    Values are read with `deep`, or where all of them are small. Raises FileNotFoundError and ConfigError.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    config = config if config is not None else find(path)
    run = Run(str(path), ()) if path.is_file() else api.read(path, config, logs_only=True)
    if isinstance(path, RemotePath):
        from runvet.remote import with_checkpoints

        run = with_checkpoints(run, path, deep=deep, executor=executor, cache=cache)
    else:
        run = beside(run, path, deep=deep or None, executor=executor, cache=cache)
    whole = api.judge(run, config)
    found = tuple(f for f in whole.findings if f.rule.startswith("CKPT"))
    actions = tuple(a for a in whole.actions if any(w.startswith("CKPT") for w in a.why))
    checks = replace(
        whole.checks,
        not_checked=tuple(u for u in whole.checks.not_checked if u.rule.startswith("CKPT")),
        not_applicable=tuple(u for u in whole.checks.not_applicable if u.rule.startswith("CKPT")),
        crashed=tuple(u for u in whole.checks.crashed if u.rule.startswith("CKPT")),
    )
    judged = replace(
        whole, findings=found, actions=actions, checks=checks, verdict=verdict.verdict(found, enough=bool(run.checkpoints)), why_not_judged="no checkpoint was found"
        if not run.checkpoints else "",
    )  # fmt: skip
    return Audit(str(path), rows(run), judged)


def rows(run: Run) -> tuple[Row, ...]:
    """One row for each checkpoint, stage by stage in the order of training; copies and unfinished ones last."""
    out: list[Row] = []
    for stage in run.stages:
        mine = [c for c in run.checkpoints if owner(c.path, run.stages) is stage]
        found = of(mine, Path(run.path), time.time())
        if found is None:
            continue
        before = _changes(found)
        out += [Row(c, stage.name, before.get(c.path), () if broken(c) else state(c)) for c in found.saves]
        out += [Row(c, stage.name, None, state(c), copy_of=original.path) for c, original in found.copies]
        out += [Row(c, stage.name, None, state(c), writing=True) for c in found.writing]
    return tuple(out)


def _changes(found: Checkpoints) -> dict[str, float]:
    """The share of tensors that differ from the whole save before of the same name, by path."""
    out = {}
    for family in found.families:
        whole = [s for s in family.saves if not broken(s)]
        for a, b in itertools.pairwise(whole):
            changed, equal = moved(a, b)
            if changed or equal:
                out[b.path] = len(changed) / (len(changed) + len(equal))
    return out
