"""The checkpoints of a stage in the order of training, with copies and half-written ones set apart."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import stem, words
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.run import Run, Stage

YOUNG = 60.0  # seconds: a file that changed this shortly ago may still be being written
LOCKS = (".tmp", ".lock", ".part", ".incomplete")
LOCK_AGE = 3_600.0  # seconds: an older mark of an unfinished write was left behind by a process that died
LATEST = frozenset("last latest final newest current recent end resume".split())
BEST = frozenset("best top".split())
BROKEN = frozenset(("empty-checkpoint", "damaged-checkpoint", "missing-shards"))
SAMPLED = 100  # saves whose values were read tell how the weights move, whatever lies between them
UNFINISHED = frozenset(("damaged-checkpoint", "missing-shards"))


@dataclass(frozen=True, slots=True)
class Family:
    """Saves of the same kind: their paths differ in numbers only. In the order of training, none of them a copy."""

    pattern: str
    saves: tuple[Checkpoint, ...]

    def pairs(self) -> list[tuple[Checkpoint, Checkpoint]]:
        """Whole saves (of which values were read, if any were) with the next one, where both say how far training was and the second was farther."""
        whole = [s for s in self.saves if not broken(s)]
        whole = [s for s in whole if s.values is not None] or whole  # of very many saves, those of a sample were read
        return [(a, b) for a, b in itertools.pairwise(whole) if apart(a, b)]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of a stage in the order of training: all `saves` but copies of others; at least one.

    `copies` are pairs of a copy (`last.ckpt`, `best.pt`) and the save it repeats. `writing` may still be being
    written and are in none of the others. `fresh` is the save that changed last, if that was a moment ago.
    """

    saves: tuple[Checkpoint, ...]
    families: tuple[Family, ...]
    copies: tuple[tuple[Checkpoint, Checkpoint], ...] = ()
    writing: tuple[Checkpoint, ...] = ()
    fresh: Checkpoint | None = None

    def having(self, problem: str) -> tuple[Checkpoint, ...]:
        """The saves with a problem of this name (see `checkpoints/problems.py`)."""
        return tuple(s for s in self.saves if any(p.name == problem for p in s.problems))

    @property
    def usable(self) -> tuple[Checkpoint, ...]:
        """The saves that one could go back to."""
        return tuple(s for s in self.saves if s.usable)

    @property
    def unread(self) -> int:
        """How many saves hold tensors whose values were not read."""
        return sum(s.values is None and bool(s.tensors) and not broken(s) for s in self.saves)

    @property
    def unscanned(self) -> int:
        """As `unread`, but 0 where the values of a sample were read that is large enough to judge the course by."""
        return 0 if sum(s.values is not None for s in self.saves) >= SAMPLED else self.unread


@provides
def checkpoints(run: Run, stage: Stage) -> Checkpoints | Missing:
    owners = {id(c): owner(c.path, run.stages) for c in run.checkpoints}
    mine = [c for c in run.checkpoints if owners[id(c)] is stage]
    made = of(mine, Path(run.path), time.time())
    if made is not None:
        return made
    return Missing(
        "no checkpoint beside the logs" if not run.checkpoints else "no checkpoint of this stage",
        "keep checkpoints below the run's folder, or give the folder that holds both",
        applicable=False,
    )


def of(found: Sequence[Checkpoint], root: Path, now: float) -> Checkpoints | None:
    """The checkpoints of one stage as evidence, None where there is none. `now` in unix seconds."""
    ordered = in_order(found)
    last = max(ordered, key=lambda c: c.modified, default=None)
    fresh = last if last is not None and now - last.modified < YOUNG else None
    writing = tuple(c for c in ordered if unfinished(c) and (c is fresh or _locked(root, c, now)))
    rest = [c for c in ordered if not any(c is w for w in writing)]
    copies = _copies(rest)
    saves = tuple(c for c in rest if not any(c is copy for copy, _ in copies))
    if not saves and not writing:
        return None
    return Checkpoints(saves, _families(saves), tuple(copies), writing, fresh)


def unfinished(checkpoint: Checkpoint) -> bool:
    """Whether what is wrong with it is what a save that is not over looks like."""
    return any(p.name in UNFINISHED for p in checkpoint.problems)


def _locked(root: Path, checkpoint: Checkpoint, now: float) -> bool:
    place = root / checkpoint.path if root.is_dir() else root
    marks = [place.with_name(place.name + mark) for mark in LOCKS if place.name]
    with contextlib.suppress(OSError):  # it was taken away a moment ago: the write is over
        return any(now - m.stat().st_mtime < LOCK_AGE for m in marks if m.exists())
    return False


def broken(checkpoint: Checkpoint) -> bool:
    """Whether it holds nothing, is damaged or lacks files: its tensors say nothing about training."""
    return any(p.name in BROKEN for p in checkpoint.problems) or checkpoint.usable is None


def apart(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether training is known to have gone on from one save to the other."""
    if a.step is not None and b.step is not None:
        return b.step > a.step
    return a.epoch is not None and b.epoch is not None and b.epoch > a.epoch


def in_order(found: Iterable[Checkpoint]) -> list[Checkpoint]:
    """In the order of training: by step where all that count anything say it, else by epoch, else by time and name.

    One that tells neither comes first, unless its name says that it is the last.
    """
    several = list(found)
    counted = [c for c in several if c.step is not None or c.epoch is not None]
    by_step = all(c.step is not None for c in counted)
    by_epoch = all(c.epoch is not None for c in counted)

    def key(c: Checkpoint) -> tuple[int, float, float, float, bool, str]:
        latest = bool(words(_name(c)) & LATEST)
        if c.step is None and c.epoch is None:
            return (2 if latest else 0, c.modified, 0.0, 0.0, latest, c.path)
        if by_step or not by_epoch:
            return (1, c.step if c.step is not None else -1.0, c.epoch or 0.0, 0.0, latest, c.path)
        return (1, c.epoch if c.epoch is not None else -1.0, c.step or 0.0, 0.0, latest, c.path)

    return sorted(several, key=key)


def _name(checkpoint: Checkpoint) -> str:
    return stem(checkpoint.path.rpartition("/")[2])


def alias(checkpoint: Checkpoint) -> bool:
    """Whether the name says which one it is (`last`, `best`), not how far it came."""
    return bool(words(_name(checkpoint)) & (LATEST | BEST))


def _copies(ordered: list[Checkpoint]) -> list[tuple[Checkpoint, Checkpoint]]:
    """Saves named `last`, `latest` or `best` that repeat another one, each with that one."""
    if not any(alias(c) for c in ordered):
        return []
    known: dict[object, Checkpoint] = {}
    out = []
    for each in sorted(ordered, key=lambda c: (alias(c), bool(words(_name(c)) & BEST))):
        content = _content(each)
        if content is None:
            continue
        folder, counted = each.path.rpartition("/")[0], each.step is not None or each.epoch is not None
        exact, loose = (folder, each.step, each.epoch, content), (folder, content)
        original = (known.get(exact) or (None if counted else known.get(loose))) if alias(each) else None
        if original is not None:
            out.append((each, original))
            continue
        if counted or each.values is not None:
            known[exact] = each
        if each.values is not None:
            known[loose] = each
    return out


def _content(checkpoint: Checkpoint) -> object:
    """What is equal in a save and its copy: the digests of the weights, else their names and shapes; None for neither."""
    model = [i for i, t in enumerate(checkpoint.tensors) if t.role in ("model", "ema")]
    if not model:
        return None
    if checkpoint.values is not None:
        return tuple(checkpoint.values.digest[i] for i in model)
    return tuple(checkpoint.tensors[i] for i in model)


def _families(saves: Iterable[Checkpoint]) -> tuple[Family, ...]:
    groups: dict[str, list[Checkpoint]] = {}
    for each in saves:
        folder, slash, name = each.path.rpartition("/")
        groups.setdefault(folder + slash + re.sub(r"\d+(?:\.\d+)?(?:e-?\d+)?", "#", name), []).append(each)
    return tuple(Family(pattern, tuple(many)) for pattern, many in groups.items())
