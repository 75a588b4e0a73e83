"""What evaluations say about where they come from: checkpoint, step, commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runvet.artifacts.grouping import step_of, words
from runvet.artifacts.model import Artifacts, Item, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.environments import COMMIT, environments
from runvet.evidence.provenance import KEYS
from runvet.run import Run

_NAMES = frozenset("summary eval evaluation evaluations metrics result results report test val".split())
_STEP = frozenset("step global_step steps epoch epochs iteration iter kimg checkpoint_step train_step".split())
FILES = 64


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation file: what it names; empty where it does not."""

    name: str
    checkpoint: str
    step: str
    commit: str


@dataclass(frozen=True, slots=True)
class Attributions:
    """Evaluation files with numbers, at least two or one with a commit; and the commits that training recorded."""

    evaluations: tuple[Evaluation, ...]
    commits: tuple[str, ...]


@provides
def attributions(run: Run) -> Attributions | Missing:
    found = list(_evaluations(run.artifacts)) if run.artifacts is not None else []
    commits = []
    for stage in run.stages:
        told = environments(stage)
        if not isinstance(told, Missing):
            commits += [r.commit for r in told.records if r.commit and r.source not in {e.name for e in found}]
    if len(found) < 2 and not any(e.commit for e in found):
        return Missing("fewer than two evaluation files", "", applicable=False)
    return Attributions(tuple(found), tuple(dict.fromkeys(commits)))


def _evaluations(artifacts: Artifacts) -> Iterator[Evaluation]:
    for item in evenly([i for i in artifacts.items if _may_be(i)], FILES):
        try:
            plain = artifacts.read(item).plain
        except UnreadableError:
            continue
        if isinstance(plain, dict) and sum(isinstance(v, float) for v in _leaves(plain).values()) >= 1:
            yield _evaluation(item, _leaves(plain))


def _may_be(item: Item) -> bool:
    # Summaries that trackers write for the whole run are no evaluations of one checkpoint.
    tracked = {"wandb", "mlruns", "dvclive", "environment"} & set(item.parts)
    return item.suffix == ".json" and item.size < 1 << 20 and bool(_NAMES & set(words(item.parts[-1]))) and not tracked


def _leaves(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the file and of the dicts in it, by the last key in lower case."""
    out: dict[str, Any] = {}
    for key, value in list(plain.items())[:300]:
        if isinstance(value, dict):
            for inner, leaf in list(value.items())[:300]:
                out.setdefault(str(inner).lower(), leaf)
        else:
            out[str(key).lower()] = value
    return out


def _evaluation(item: Item, told: Mapping[str, Any]) -> Evaluation:
    checkpoint = next((str(told[k]) for k in KEYS if isinstance(told.get(k), str)), "")
    step = next((str(told[k]) for k in _STEP if isinstance(told.get(k), (int, float))), "")
    named = step_of(item.name)[0]
    commit = next((v for k in COMMIT if isinstance(v := told.get(k), str) and len(v) >= 7), "")
    return Evaluation(item.name, checkpoint, step or ("" if named is None else str(named)), commit)
