"""The Python interface: read a run, judge it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike

import runvet
from runvet import engine, trust, verdict
from runvet.beside import beside
from runvet.checkpoints.places import Place, RemotePath, place
from runvet.config import Config, find
from runvet.discover import discover
from runvet.report import Curve, Figure, Finding, ReadProblem, Report, SampleRank, StageSummary, Unchecked
from runvet.run import Run, Stage
from runvet.secrets import mask
from runvet.sink import POINTS
from runvet.stages import build
from runvet.summary import summarise


def read(
    path: str | PathLike[str] | Place,
    config: Config | None = None,
    *,
    points: int | None = POINTS,
    logs_only: bool = False,
) -> Run:
    """Read every log, configuration and checkpoint below a path, without executing anything from it.

    `points` bounds the points kept of one file (None: all). `logs_only` leaves checkpoints and samples alone.
    Raises FileNotFoundError and ConfigError; what can't be read inside the path is listed in `Run.problems`.
    """
    root = place(path)
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such file or folder")
    if isinstance(root, RemotePath):
        from runvet import remote

        run = remote.read_logs(root, config if config is not None else find(root), points=points)
        return run if logs_only else remote.with_checkpoints(run, root)
    run = build(str(path), discover(root, points=points), config if config is not None else find(root))
    return run if logs_only else beside(run, root)


def check(path: str | PathLike[str] | Place, config: Config | None = None) -> Report:
    """Judge the run at a path or URL. Raises FileNotFoundError, ConfigError, RemoteError (a store that cannot be read)."""
    start = time.perf_counter()
    root = place(path)
    config = config if config is not None else find(root)
    run = read(path, config)
    return judge(run, config, seconds=time.perf_counter() - start)


def judge(
    run: Run,
    config: Config | None = None,
    *,
    seconds: float | None = None,
    curves: bool | int = False,
    figures: bool | int = False,
) -> Report:
    """Judge a run that has been read. Raises ConfigError.

    `curves` keeps the curves in the report so that it can be drawn: True, or how many points in all. `figures` keeps
    what a person would look at (samples beside data, predictions beside truth): True, or how many bytes in all.
    """
    config = config or Config()
    evidence = engine.Evidence(run, config)
    outcomes = engine.judge(run, config, evidence=evidence)
    found = verdict.findings(outcomes)
    overall = verdict.verdict(found, enough=verdict.enough(outcomes, None))
    stages = tuple(
        replace(summarise(stage, verdict.stage_verdict(outcomes, stage), config), samples=_ranked(evidence, stage))
        for stage in run.stages
    )
    trusted = trust.trusted(run, found, stages)
    return Report(
        runvet=runvet.__version__,
        path=mask(run.path)[0],
        verdict=overall,
        stages=stages,
        findings=found,
        actions=trust.advise(verdict.actions(found), trusted, overall, saved=bool(run.checkpoints)),
        trusted_checkpoint=trusted,
        checks=verdict.checks(outcomes, [Unchecked(*_named(s), None, why) for s, why in config.ignore.items()]),
        problems=tuple(ReadProblem(p.where, p.why, p.remedy) for p in run.problems),
        reading={
            "files": len(run.readers),
            "ignored": len(run.ignored),
            "points": sum(s.total for stage in run.stages for s in stage.series),
            **({"checkpoints": len(run.checkpoints)} if run.checkpoints else {}),
            **({} if seconds is None else {"seconds": round(seconds, 3)}),
        },
        why_not_judged=verdict.why_not_judged(run) if overall == "not judged" else "",
        curves=_curves(run, stages, found, curves) if curves else (),
        figures=_figures(run, config, found, figures) if figures else (),
    )


def _ranked(evidence: engine.Evidence, stage: Stage) -> tuple[SampleRank, ...]:
    """The steps that have samples, those nearest to the data first."""
    from runvet.evidence.sweep import Sweep

    sweep = evidence.known(Sweep, stage)
    if sweep is None:
        return ()
    told = []
    for one in sweep.ranked:
        low, high = one.interval or (None, None)
        told.append(SampleRank(one.step, one.median, low, high, len(one.distances), sweep.axis))
    return tuple(told)


def _curves(
    run: Run, stages: Sequence[StageSummary], found: Sequence[Finding], points: bool | int
) -> tuple[Curve, ...]:
    """The curves to draw; those that stand for a stage or that a finding points at have precedence."""
    from runvet import curves

    first = {(s.name, s.lead) for s in stages if s.lead} | {
        (f.stage, f.window.series) for f in found if f.stage and f.window
    }
    return curves.of(run, first) if points is True else curves.of(run, first, budget=int(points))


def _figures(run: Run, config: Config, found: Sequence[Finding], size: bool | int) -> tuple[Figure, ...]:
    from runvet.figures import drawing

    return drawing.of(run, config, found, budget=drawing.BUDGET if size is True else int(size))


def _named(selector: str) -> tuple[str, str]:
    rule = next((r for r in engine.collect() if engine.matches(r, selector)), None)
    return (rule.code, rule.name) if rule is not None and selector in (rule.code, rule.name) else (selector, selector)
