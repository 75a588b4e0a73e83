"""PAR113 temperature-applied-twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runvet import examples_artifacts as made
from runvet.artifacts.model import Artifacts, Item, UnreadableError, evenly
from runvet.evidence.artifact_groups import StageGroups
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run, Stage, number

READ = 24  # side-cars of samples
DECLARED = ("temperature", "sampling_temperature", "temp")
REALISED = (
    "effective_temperature",
    "realised_temperature",
    "realized_temperature",
    "actual_temperature",
    "temperature_used",
)


@rule(
    "PAR113",
    "temperature-applied-twice",
    level="critical",
    since="0.1",
    explains=("GEN101", "GEN102", "GEN105", "GEN109"),
)
def temperature_applied_twice(found: StageGroups, stage: Stage, *, tolerance: float = 0.02) -> Sick | None:
    """Samples were drawn at another temperature than the one that was asked for.

    ## What it checks
    JSON files beside samples that record both the temperature asked for and the one in effect, or only the latter
    while the configuration of sampling names the former: critical where they differ by more than 2 % of the
    logarithm's scale. Told apart: the square (applied twice), and any other value.
    ## Why it matters
    Below 1, a square sharpens: fewer kinds of things, sparse grids, better looking parts. What is then tuned is the
    square root of what takes effect, and another sampler gives other samples at the same setting.
    ## What to do
    Divide logits once, at the place where they are drawn from; sample again from the same checkpoint.
    ## When to ignore it
    A schedule of temperatures of which only the last is recorded.
    ## Known limits
    A sampler that does not record what it did cannot be judged.
    ## References
    - Guo et al. 2017, On calibration of modern neural networks, arXiv 1706.04599 (what dividing logits does).
    """
    told = next((s for name in DECLARED if (s := stage.setting(name)) is not None), None)
    for item, record in _records(found):
        asked = _number(record, DECLARED)
        place = item.name
        if asked is None and told is not None:
            asked, place = told.number, told.source
        got = _number(record, REALISED)
        if asked is None or got is None or asked <= 0 or got <= 0 or abs(got - asked) <= tolerance * asked:
            continue
        twice = abs(got - asked**2) <= tolerance * asked**2
        how = ", its square: it was applied twice" if twice else ""
        return Sick(
            f"samples were to be drawn at temperature {asked:g} and were drawn at {got:g}{how}",
            evidence=(
                Measure("temperature asked for", asked, None, place),
                Measure("temperature in effect", got, None, item.name),
            ),
            innocent="a schedule of temperatures of which only the last one is recorded",
            actions=(
                Action(
                    "Divide the logits by the temperature at one place only, and sample again from the same checkpoint",
                    "minutes",
                    "repair",
                ),
            ),
        )
    return None


def _records(found: StageGroups) -> Iterator[tuple[Item, Mapping[str, Any]]]:
    """JSON objects in the folders of the last samples."""
    folders = {e.item.name.rpartition("/")[0] for g in found.samples for e in g.last}
    beside = [i for i in found.artifacts.items if i.suffix == ".json" and i.name.rpartition("/")[0] in folders]
    for item in evenly(beside, READ):
        plain = _plain(found.artifacts, item)
        if isinstance(plain, Mapping):
            yield item, plain


def _plain(kept: Artifacts, item: Item) -> Any:
    try:
        return kept.read(item).plain
    except UnreadableError:
        return None


def _number(record: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((value for name in names if (value := number(record.get(name))) is not None), None)


def _run(record: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> Run:
    files: dict[str, Any] = dict(made.grids("samples/step_9", [made.tree(i) for i in range(6)]))
    return made.with_files(files | {"samples/step_9/meta.json": dict(record)}, settings=settings)


def sick() -> Iterator[Run]:
    """The square in effect; another value than the configuration's."""
    yield _run({"prompt": "a tree", "temperature": 0.7, "effective_temperature": 0.49})
    yield _run({"prompt": "a tree", "effective_temperature": 1.0}, {"sampling.temperature": 0.8})


def healthy() -> Iterator[Run]:
    """What was asked for; a setting without a record; 1 squared."""
    yield _run({"temperature": 0.7, "effective_temperature": 0.7})
    yield _run({"temperature": 0.9}, {"sampling.temperature": 0.7})
    yield _run({"temperature": 1.0, "effective_temperature": 1.0})
