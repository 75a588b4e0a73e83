"""Answers among the inputs: truth as a source at evaluation, targets copied into inputs or written into prompts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvet.artifacts import pairs
from runvet.artifacts.grouping import DATA, words
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.inputs import BatchKeys
from runvet.evidence.stacks import stacks, texts
from runvet.run import Run, Setting

TRUTH = frozenset("gt groundtruth ground_truth true truth target label oracle real".split())
SOURCE = re.compile(r"(?:^|_)(?:source|from|input|init|mode)$")
USES = re.compile(r"^(?:use|with|feed|provide|input|given|condition_on)_(?:gt|ground_?truth|oracle|true)_\w+$|^(?:gt|oracle)_\w+_(?:input|as_input)$")  # fmt: skip
ANSWER = frozenset("gt truth target targets label labels answer depth depths pose poses extrinsic extrinsics trajectory future mask masks".split())  # fmt: skip
_EVALUATION = frozenset(
    "summary eval evaluation val validation test metrics result results report precheck inference infer predict".split()
)
_USE = frozenset("eval evaluation val validation test infer inference predict".split())
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
FILES = 32


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which the answer is an input: what it is, a number for it, and where. `sure` where arrays prove it."""

    kind: str
    what: str
    measure: str
    value: float | str
    where: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was looked at, and what was found; at least one thing was looked at."""

    looked: int
    found: tuple[Leak, ...]


@provides
def leaks(run: Run, batches: BatchKeys | None) -> Leaks | Missing:
    found: list[Leak] = []
    looked = 0
    for where, told in _told(run):
        looked += 1
        found += _sources(where, told)
    for one, a, two, b in batches.pairs if batches else ():
        looked += 1
        extra = sorted(n for n in b - a if set(words(n)) & ANSWER)
        held = sorted(a)[:6]
        # A batch of use that holds the truth to compare with has a batch of training that holds it too.
        if extra and not any(set(words(n)) & {"gt", "truth", "target", "targets", "label", "labels"} for n in extra):
            found.append(Leak("keys", f"{two} feeds {', '.join(extra[:3])}, which {one} does not hold ({', '.join(held)})", "keys that only use has", ", ".join(extra[:6]), two, True))  # fmt: skip
    for leak in _in_arrays(run.artifacts) if run.artifacts is not None else ():
        looked += 1
        found += [leak] if leak.kind else []
    return Leaks(looked, tuple(found)) if looked else Missing("no evaluation tells its inputs", "write the sources of inputs (pose_source: pred) into each evaluation summary", applicable=False)  # fmt: skip


def _told(run: Run) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What evaluations say about themselves: summaries, and settings of sections for use."""
    by: dict[str, dict[str, Any]] = {}
    settings: list[Setting] = [*run.settings, *(s for stage in run.stages for s in stage.settings)]
    for s in settings:
        told = set(words(s.source)) | set(words(s.key.rpartition(".")[0]))
        if told & _USE and (s.key not in by.get(s.source, {})):
            by.setdefault(s.source, {})[s.key.rsplit(".", 1)[-1]] = s.value
    yield from by.items()
    if run.artifacts is None:
        return
    files = [i for i in run.artifacts.items if i.suffix in (".json", ".yaml", ".yml") and i.size < 1 << 20 and _EVALUATION & {w for p in i.parts for w in words(p)}]  # fmt: skip
    for item in evenly(files, FILES):
        if item.name in by:
            continue
        try:
            plain = run.artifacts.read(item).plain
        except UnreadableError:
            continue
        if isinstance(plain, dict) and any(isinstance(v, (str, bool)) for v in plain.values()):
            yield item.name, {str(k): v for k, v in list(plain.items())[:300]}


def _sources(where: str, told: Mapping[str, Any]) -> Iterator[Leak]:
    for key, value in told.items():
        name = key.lower().replace("-", "_")
        if isinstance(value, str) and SOURCE.search(name) and value.lower() in TRUTH:
            yield Leak(
                "source",
                f"{where} takes {name.rpartition('_')[0] or name} from the truth ({key}: {value})",
                key,
                value,
                where,
                False,
            )
        elif value is True and USES.match(name):
            yield Leak("source", f"{where} feeds the truth to the model ({key}: true)", key, "true", where, False)


def _in_arrays(artifacts: Artifacts) -> Iterator[Leak]:
    """Leaks of files that hold inputs and targets; a Leak of kind "" for each file that was looked at without one."""
    candidates = [i for i in artifacts.items if i.suffix in (".json", ".jsonl") and {w for p in i.parts for w in words(p)} & DATA and i.size < 64 << 20]  # fmt: skip
    candidates += [i for i in artifacts.items if i.suffix == ".npz" and i.peek is not None and _both(i.peek)]
    for stack in stacks(artifacts):
        told = texts(artifacts, stack)
        if len(told) >= 20:
            joined = [{"text": told.get(n, "")} for n in stack.names]
            yield _in_text(stack.folder, joined, {"trajectory": stack.array}) or Leak(
                "", "", "", 0, stack.folder, False
            )
    for item in evenly(candidates, FILES):
        try:
            contents = artifacts.read(item)
        except UnreadableError:
            continue
        yield _in_text(item.name, contents.plain, contents.arrays) or _copied(item.name, contents.arrays) or Leak("", "", "", 0, item.name, False)  # fmt: skip


def _both(peek: Any) -> bool:
    try:
        names = list(peek())
    except UnreadableError:
        return False
    return any(pairs.side(n)[0] == "true" for n in names) and any(_is_input(n) for n in names)


def _is_input(name: str) -> bool:
    return bool({"input", "inputs", "feature", "features", "x", "context", "condition", "cond"} & set(words(name))) and not pairs.side(name)[0]  # fmt: skip


def _in_text(name: str, plain: Any, arrays: Mapping[str, Array]) -> Leak | None:
    """Numbers of two or more decimals in texts that are values of the same record's target, beyond its first step."""
    if not isinstance(plain, list) or len(plain) < 20 or not all(isinstance(r, dict) for r in plain):
        return None
    targets = {k: a for k, a in arrays.items() if a.ndim >= 2 and len(a) == len(plain) and a[0].size >= 2 and set(words(k)) & (ANSWER | {"traj", "y", "waypoints", "path"})}  # fmt: skip
    texts = [k for k, v in plain[0].items() if isinstance(v, str)]
    if not targets or not texts:
        return None
    key, target = max(targets.items(), key=lambda p: p[1].size)
    rows = evenly(range(len(plain)), 400)
    hits = sum(_tells(" ".join(str(plain[i].get(t, "")) for t in texts), target[i]) for i in rows)
    share = hits / len(rows)
    if share <= 0.05:
        return None
    return Leak("text", f"{100 * share:.0f} % of the texts in {name} hold values of their own {key}", "texts that hold values of the target", round(share, 4), name, True)  # fmt: skip


def _tells(text: str, target: Array) -> bool:
    numbers = [float(n) for n in _NUMBER.findall(text)[:60]]
    values = np.asarray(target, np.float64)
    later = (values[1:] if values.ndim >= 2 and len(values) > 2 else values).ravel()
    later = later[np.abs(later) > 0.1]
    return len(later) > 0 and sum(bool((np.abs(later - n) < 5.1e-3).any()) for n in numbers) >= 2


def _copied(name: str, arrays: Mapping[str, Array]) -> Leak | None:
    """Half of a target's columns among the columns of an input that holds other columns too."""
    targets = [k for k in arrays if pairs.side(k)[0] == "true" and arrays[k].dtype.kind == "f" and arrays[k].ndim]
    for key in [k for k in arrays if _is_input(k) and arrays[k].dtype.kind == "f" and arrays[k].ndim]:
        for true in targets:
            if len(arrays[key]) != len(arrays[true]) or len(arrays[true]) < 20:
                continue
            x, y = (np.asarray(arrays[k], np.float64).reshape(len(arrays[k]), -1)[:500] for k in (key, true))
            if x.shape[1] <= y.shape[1] or not 1 <= y.shape[1] <= 512 or x.shape[1] > 4096:
                continue
            varied = [j for j in range(y.shape[1]) if y[:, j].std() > 0]
            same = sum(bool((np.abs(x - y[:, j : j + 1]).max(axis=0) < 1e-6 * (1 + np.abs(y[:, j]).max())).any()) for j in varied)  # fmt: skip
            if varied and same >= max(1, len(varied) / 2):
                return Leak("copy", f"{same} of {len(varied)} columns of {true} stand among the {x.shape[1]} columns of {key} in {name}", "columns of the target among the inputs", same, name, True)  # fmt: skip
    return None
