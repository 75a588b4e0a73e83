"""Every checkpoint below a path with what the rules say of it: what `runvet checkpoints` shows."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runvet import api, report, verdict
from runvet.beside import beside
from runvet.checkpoints import contract
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.problems import Problem
from runvet.checkpoints.resume import state
from runvet.config import Config, find
from runvet.evidence.artifact_groups import owner
from runvet.evidence.checkpoints import Checkpoints, broken, of
from runvet.evidence.weights import moved
from runvet.report import Finding, Report
from runvet.run import Run


@dataclass(frozen=True, slots=True)
class Row:
    """One checkpoint with what its siblings say about it.

    `changed` is the share of the model's weights (by tensors) that differ from the save before, None where there is
    none or values were not read. `resume` are the parts of the training state that it holds. `copy_of` is the path of
    the save that it repeats. `writing` where it may still be being written: then it is not judged.
    """

    checkpoint: Checkpoint
    stage: str
    changed: float | None = None
    resume: tuple[str, ...] = ()
    copy_of: str = ""
    writing: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """All checkpoints of a path, the findings about them, the one to trust, and what a manifest says (`verified`).

    `verified` is None where no manifest was asked for.
    """

    path: str
    rows: tuple[Row, ...]
    report: Report
    verified: tuple[Problem, ...] | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings about checkpoints."""
        return self.report.findings

    @property
    def status(self) -> int:
        """Exit status: 0 all fine, 1 something is wrong, 2 nothing could be judged."""
        if self.findings or self.verified or any(r.checkpoint.usable is False and not r.writing for r in self.rows):
            return 1
        return 0 if any(r.checkpoint.usable for r in self.rows) else 2


def audit(
    path: Path, config: Config | None = None, *, deep: bool = False, executor: Executor | None = None, cache: bool = True
) -> Audit:
    """Read and judge the checkpoints at or below a path, with the logs beside them. Nothing is executed.

    Values are read with `deep`, or where all of them are small. Raises FileNotFoundError and ConfigError.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    config = config if config is not None else find(path)
    run = Run(str(path), ()) if path.is_file() else api.read(path, config, logs_only=True)
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


def to_dict(made: Audit) -> dict[str, Any]:
    """The JSON contract of `runvet checkpoints PATH --format json`, schema_version 1."""
    told = contract.to_json(made.path, ())
    plain = report.to_dict(made.report)
    told["trusted"] = plain["trusted_checkpoint"]
    told["checkpoints"] = [_entry(row) for row in made.rows]
    told |= {"verdict": plain["verdict"], "findings": plain["findings"], "actions": plain["actions"], "checks": plain["checks"]}
    if made.verified is not None:
        told["verified"] = [{"rule": p.code, "name": p.name, "message": p.message} for p in made.verified]
    return told


def _entry(row: Row) -> dict[str, Any]:
    return contract.entry(row.checkpoint) | {
        "stage": row.stage,
        "changed": row.changed,
        "resume": list(row.resume),
        "copy_of": row.copy_of or None,
        "writing": row.writing,
    }
