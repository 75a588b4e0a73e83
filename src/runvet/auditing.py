"""Reading and judging every checkpoint below a path, with the logs beside them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from runvet import api, engine, trust, verdict
from runvet.audit import Audit, Row
from runvet.beside import beside
from runvet.checkpoints.places import Place, RemotePath
from runvet.checkpoints.resume import state
from runvet.config import Config, find
from runvet.evidence.artifact_groups import owner
from runvet.evidence.checkpoints import Checkpoints, broken, of
from runvet.evidence.weights import moved
from runvet.report import Checks, Report, Unchecked
from runvet.run import Run

ALSO = ("LOG104", "RES106")  # rules about checkpoints that read the log: weights not loaded, the best is not the best


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
    judged = about_checkpoints(api.judge(run, config), run)
    return Audit(str(path), rows(run), judged)


def about_checkpoints(whole: Report, run: Run) -> Report:
    """What a report says of checkpoints: its findings, checks and actions of those rules, and verdicts from them alone.

    A stage is sound where it has checkpoints and none of these rules found anything. The trusted checkpoint stays: it
    is from before what the other rules found.
    """
    found = [f for f in whole.findings if judges(f.rule)]
    codes = {f.rule for f in found}
    found = [f if f.caused_by in codes else replace(f, caused_by=None) for f in found]
    saved = bool(run.checkpoints)
    overall = verdict.verdict(found, enough=saved)
    owners = [owner(c.path, run.stages) for c in run.checkpoints]
    stages = tuple(
        replace(
            told,
            verdict=verdict.verdict([f for f in found if f.stage == told.name], enough=any(o is s for o in owners)),
        )
        for told, s in zip(whole.stages, run.stages, strict=True)
    )
    return replace(
        whole,
        verdict=overall,
        stages=stages,
        findings=tuple(found),
        actions=trust.advise(verdict.actions(found), whole.trusted_checkpoint, overall, saved=saved),
        checks=_checks(whole.checks, codes),
        why_not_judged="" if saved or found else "no checkpoint was found",
    )


def judges(code: str) -> bool:
    """Whether the rule of this code is about checkpoints."""
    return code.startswith("CKPT") or code in ALSO


def _checks(whole: Checks, found: set[str]) -> Checks:
    """The account of the rules about checkpoints alone."""
    mine = [r for r in engine.collect() if judges(r.code)]
    left, crashed = _of(whole.not_checked), _of(whole.crashed)
    passed = tuple(code for code in whole.passed if judges(code))
    ran = found | set(passed)
    return Checks(
        ran=len(ran),
        of=len(ran | {u.rule for u in (*left, *crashed)}),
        not_checked=left,
        not_applicable=_of(whole.not_applicable),
        crashed=crashed,
        passed=passed,
        ignored=tuple(u for u in whole.ignored if any(engine.matches(r, u.rule) for r in mine)),
    )


def _of(entries: Sequence[Unchecked]) -> tuple[Unchecked, ...]:
    return tuple(u for u in entries if judges(u.rule))


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
