"""Which figures a judged run gets: one builder for each kind of evidence, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import orjson

from runvet import engine
from runvet.config import Config
from runvet.evidence import Missing
from runvet.evidence.datasets import DataSets, Paths
from runvet.evidence.grids import GridSamples
from runvet.evidence.horizons import Horizons
from runvet.evidence.inputs import FedInputs
from runvet.evidence.masks import Masks
from runvet.evidence.noise_schedules import NoiseSchedules
from runvet.evidence.parity import Parities
from runvet.evidence.pictures import PictureSamples
from runvet.evidence.predictions import Predictions
from runvet.evidence.ranges import RangeLines
from runvet.figures import items, lines, outputs, pictures, voxels
from runvet.report import Figure, Finding, plain
from runvet.run import Run, Stage

BUDGET = 3_500_000  # bytes of all figures of a page as JSON: the page stays below 5 MB
DEPTH = 4  # how far a rule's evidence is followed to what it is made of

Builder = Callable[[Any, Run], Iterator[Figure]]
BUILDERS: Mapping[type, Builder] = {
    GridSamples: voxels.samples,
    PictureSamples: pictures.samples,
    Predictions: outputs.predictions,
    RangeLines: outputs.ranges,
    Masks: outputs.masks,
    Parities: outputs.parities,
    FedInputs: lines.inputs,
    NoiseSchedules: lines.schedules,
    Horizons: lines.horizons,
    Paths: items.paths,
    DataSets: items.faults,
}
ONLY_WITH_FINDING = (
    DataSets,
    Paths,
    RangeLines,
    Masks,
    Parities,
    FedInputs,
    NoiseSchedules,
    Horizons,
)  # the others are worth a look in any case


def of(
    run: Run, config: Config, found: Sequence[Finding], *, budget: int = BUDGET, stages: Sequence[Stage] | None = None
) -> tuple[Figure, ...]:
    """The figures of a run, those that stand under findings first, in at most about `budget` bytes of JSON."""
    evidence = engine.Evidence(run, config)
    made: list[Figure] = []
    for kind, build in BUILDERS.items():
        scopes: Sequence[Stage | None] = (
            (stages or run.stages) if engine.per_stage(engine.providers()[kind]) else (None,)
        )
        for stage in scopes:
            name = stage.name if stage is not None else None
            codes = _codes(kind, found, name)
            if codes or kind not in ONLY_WITH_FINDING:
                made += [replace(f, stage=name, rules=codes) for f in _built(build, evidence, kind, stage, run)]
    return _bounded(sorted(made, key=lambda f: not f.rules), budget)


def _built(build: Builder, evidence: engine.Evidence, kind: type, stage: Stage | None, run: Run) -> list[Figure]:
    """The figures of one kind of evidence; what can't be drawn is said in place of it and takes nothing else along."""
    try:
        value = evidence.get(kind, stage)
        return [] if isinstance(value, Missing) else list(build(value, run))
    except Exception as error:
        return [Figure("note", title=f"{kind.__name__} could not be drawn", note=f"{type(error).__name__}: {error}")]


def _codes(kind: type, found: Sequence[Finding], stage: str | None) -> tuple[str, ...]:
    """The findings of a stage (or of the run) whose rules ask for this evidence."""
    rules = {r.code: r for r in engine.collect()}
    mine = [f.rule for f in found if stage is None or f.stage in (stage, None)]
    return tuple(dict.fromkeys(c for c in mine if c in rules and kind in _asked(rules[c].check, DEPTH)))


@cache
def _asked(function: Callable[..., Any], depth: int) -> frozenset[type]:
    """The evidence that a rule asks for, and what that is made of."""
    direct = {n.type for n in engine.needs(function) if n.type not in engine.BASES}
    below = [_asked(engine.providers()[kind], depth - 1) for kind in direct] if depth else []
    return frozenset(direct).union(*below)


def _bounded(figures: Sequence[Figure], budget: int) -> tuple[Figure, ...]:
    """The figures that fit, in order; the last one says what was left out."""
    kept: list[Figure] = []
    left_out: list[str] = []
    for figure in figures:
        size = len(orjson.dumps(plain(figure.data)))
        if size <= budget:
            kept.append(figure)
            budget -= size
        else:
            left_out.append(figure.title)
    if left_out:
        kept.append(Figure("note", title="Left out to keep the file small", note="; ".join(left_out[:20])))
    return tuple(kept)
