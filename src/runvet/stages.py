"""From logs to stages: which files tell of the same training, in which order, and what is told twice.

Files are grouped by their folder (folders such as `logs` or `train` are looked through) and by the words of
their names that distinguish them (`dynamics_history_x7f3.csv` -> dynamics). Then groups that tell the same numbers
or that go on where another ended are joined.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from runvet.config import Config
from runvet.discover import Found
from runvet.joining import continues, distinct, join, purge, same_numbers
from runvet.roles import assign, meaning
from runvet.run import Log, Run, Series, Setting, Stage

# Folders that organise a run's files and say nothing about which training they belong to.
THROUGH = frozenset(
    "log logs tb tensorboard tensorboards tensorboard_logs tblogs events event tfevents metrics plots csv csv_logs results result output outputs"
    " lightning_logs runs run vis_data files wandb dvclive live scalars history histories checkpoints ckpt checkpoint .hydra hydra"
    " config configs conf catboost_info summary summaries params tags logger console stdout environment env".split()
)
SPLITS = frozenset("train training val valid validation eval evaluation test learn dev".split())
# Words of file names that say what kind of file it is, not which training.
PLAIN = frozenset(
    "log logs train training trainer history latest last final metrics metric results result output out err stdout stderr nohup progress"
    " events scalars state console run loss losses data export step steps epoch epochs monitor screenlog slurm record records stats"
    " csv json jsonl txt full all new old error time left catboost val valid validation test eval wandb offline rank worker node main debug"
    " info verbose verbose1 verbose2 learn params hparams config args".split()
)
_ID = re.compile(r"^(?=.*\d)(?=.*[a-z])[a-z0-9]{6,}$|^\d+$|^v?\d[\d.]*$|^[0-9a-f]{7,}$")


@dataclass(slots=True)
class _Group:
    """Logs that belong to one training; `home` is its folder, `label` the distinguishing words of the names."""

    home: tuple[str, ...]
    label: str
    logs: list[Log] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(s.total for log in self.logs for s in log.series)

    def curves(self) -> int:
        """The number of points of the longest curve."""
        return max((s.total for log in self.logs for s in log.series), default=0)


def home_of(source: str, scope: str = "") -> tuple[tuple[str, ...], str, str]:
    """Folder, label and split prefix of a file: `Logs/dynamics_history_2pghxx71.csv` -> ((), 'dynamics', '')."""
    path = PurePosixPath(source)
    folders, prefix = list(path.parts[:-1]), ""
    if "metrics" in folders and path.suffix in ("", ".tsv"):  # one file a metric: mlflow, DVCLive
        folders = folders[: folders.index("metrics")]
    if folders and re.fullmatch(r"checkpoint-\d+", folders[-1]):
        folders.pop()
    if folders and folders[-1].lower() in SPLITS:
        prefix = folders.pop()
    folders = [f for f in folders if f.lower() not in THROUGH]
    stem = path.name if path.suffix in ("", ".0") else path.stem
    tokens = [t for t in re.split(r"[^a-z0-9]+", stem.lower()) if t]
    if ".tfevents." in path.name or path.suffix in (".wandb", ".swanlab", ".db") or path.suffix == "":
        tokens = []
    label = " ".join(t for t in tokens if t not in PLAIN and not _ID.match(t))
    if scope:
        folders.append(scope)
    return tuple(folders), label, prefix


def build(root: str, found: Found, config: Config | None = None) -> Run:
    """The run below a path: its stages in the order of their first file."""
    config = config or Config()
    logs = purge([_prefixed(part) for log in found.logs for part in _runs_of(log)])
    metric_logs = [log for log in logs if log.series or log.reader == "text"]
    groups = _merge(_group(metric_logs))
    groups = [g for g in groups if g.logs]
    stages = _name(groups, root, config)
    settings = [s for log in logs if not log.series for s in log.settings]
    stages = tuple(replace(s, settings=_settings(g, groups, logs, config)) for s, g in zip(stages, groups, strict=True))
    problems = [*found.problems, *(p for log in logs for p in log.problems)]
    return Run(root, stages, tuple(problems), tuple(found.ignored), tuple(settings), dict(found.readers))


def _runs_of(log: Log) -> list[Log]:
    """A table whose columns are named `<run> - <metric>` (W&B's chart export) as one log a run."""
    runs = list(dict.fromkeys(s.name.rsplit(" - ", 1)[0] for s in log.series if " - " in s.name))
    if len(runs) < 2 or any(" - " not in s.name for s in log.series) or log.reader == "text":
        return [log]
    out = [
        replace(log, scope=run, series=tuple(s for s in log.series if s.name.rsplit(" - ", 1)[0] == run))
        for run in runs
    ]
    return [out[0], *(replace(part, events=(), settings=(), problems=(), seams=()) for part in out[1:])]


def _prefixed(log: Log) -> Log:
    """Series of a file below `train/` or `val/` carry that folder in their names, unless the name has the split.

    Nor where the file's own names tell training and evaluation apart: `runs/detect/train/results.csv` holds both.
    """
    prefix = home_of(log.source, log.scope)[2]
    own = {meaning(s.name)[2] for s in log.series} - {None}
    if not prefix or log.reader == "text" or len(own) > 1:
        return log
    return replace(
        log, series=tuple(s if meaning(s.name)[2] else replace(s, name=f"{prefix}/{s.name}") for s in log.series)
    )


def _group(logs: Sequence[Log]) -> list[_Group]:
    groups: dict[tuple[tuple[str, ...], str], _Group] = {}
    for log in logs:
        home, label, _ = home_of(log.source, log.scope)
        groups.setdefault((home, label), _Group(home, label)).logs.append(log)
    return list(groups.values())


def _merge(groups: list[_Group]) -> list[_Group]:
    """Join groups that tell the same training, then give files without a curve of their own to their neighbour."""
    groups = sorted(groups, key=lambda g: -g.points)
    kept: list[_Group] = []
    for group in groups:
        target = next((k for k in kept if _belongs(group, k)), None)
        if target is None:
            kept.append(group)
        else:
            target.logs += group.logs
    real = [g for g in kept if g.curves() >= 2] or kept[:1]
    for group in kept:
        if not any(group is r for r in real):
            near = [r for r in real if r.home[: len(group.home)] == group.home] or real
            if len(real) == 1 or len(near) == 1:
                near[0].logs += [replace(log, series=()) for log in group.logs]
    for group in real:
        group.logs.sort(key=_start)
    return sorted(real, key=lambda g: min(_start(log) for log in g.logs))


def _start(log: Log) -> tuple[float, str]:
    """When a log began, for ordering: its first time stamp where it has absolute ones, else the file's name."""
    times = [float(s.time[0]) for s in log.series if len(s) and s.time[0] > 1e8]
    return (min(times) if times else 0.0, log.source)


def _belongs(group: _Group, other: _Group) -> bool:
    """Whether two groups are one training: the same numbers, parallel files of one folder, or a continuation."""
    if same_numbers(group.logs, other.logs):
        return True
    related = group.home[:-1] == other.home[:-1] or group.home == other.home
    if group.home == other.home and (not group.label or not other.label):
        return True
    if not related:
        return False
    mine, theirs = _names(group), _names(other)
    if not mine & theirs and group.home != other.home and _simultaneous(group, other):
        return True
    return bool(mine & theirs) and _numbers_aside(group) == _numbers_aside(other) and continues(group.logs, other.logs)


def _names(group: _Group) -> set[str]:
    return {s.name for log in group.logs for s in log.series}


def _numbers_aside(group: _Group) -> str:
    last = group.home[-1] if group.home else ""
    return re.sub(r"\d+", "#", last) + "|" + re.sub(r"\d+", "#", group.label)


def _simultaneous(a: _Group, b: _Group) -> bool:
    """Whether the absolute times of two groups overlap for most of the shorter one."""
    spans = []
    for group in (a, b):
        times = [
            s.time for log in group.logs for s in log.series if len(s) and np.isfinite(s.time).all() and s.time[0] > 1e8
        ]
        if not times:
            return False
        spans.append((min(float(t.min()) for t in times), max(float(t.max()) for t in times)))
    (a0, a1), (b0, b1) = spans
    return min(a1, b1) - max(a0, b0) > 0.5 * min(a1 - a0, b1 - b0) > 0


def _name(groups: list[_Group], root: str, config: Config) -> tuple[Stage, ...]:
    """Stages with unique names: the label, else the last folder, else the path's own name."""
    base = PurePosixPath(root).name or "run"
    names: dict[str, None] = {}
    for group in groups:
        folder = group.home[-1] if group.home else ""
        name = group.label.replace(" ", "_") if group.label and (len(groups) > 1 or not folder) else folder
        name = name or base
        if len(groups) == 1 and not folder:
            name = base
        if name in names and folder and folder != name:
            name = f"{folder}/{name}"
        for above in reversed(group.home[:-1]):
            if name not in names:
                break
            name = f"{above}/{name}"
        number = 2
        while name in names:
            name, number = f"{name.removesuffix(f' {number - 1}')} {number}", number + 1
        names[name] = None
    return tuple(
        Stage(
            name,
            "/".join(group.home),
            distinct(assign(join(group.logs), config.names)),
            tuple(e for log in group.logs for e in log.events),
            (),
            tuple(group.logs),
            tuple(s for log in group.logs for s in log.seams),
        )
        for name, group in zip(names, groups, strict=True)
    )


def _settings(group: _Group, groups: list[_Group], logs: Sequence[Log], config: Config) -> tuple[Setting, ...]:
    """Settings that hold for a stage: the user's, its own files', those of folders above, then what its log echoed."""
    told: list[tuple[int, Setting]] = []
    for log in logs:
        if not log.settings:
            continue
        if any(log is mine or log.source == mine.source for mine in group.logs):
            told += [(1 if log.series else 0, s) for s in log.settings]
            continue
        home = home_of(log.source)[0]
        own = {str(s.value).lower() for s in log.settings if s.key in ("stage", "name", "phase")}
        named = [g for g in groups if _stage_word(g) and _stage_word(g) in {*(h.lower() for h in home), *own}]
        if named:
            if any(g is group for g in named):
                told += [(0, s) for s in log.settings]
        elif group.home[: len(home)] == home or len(groups) == 1:
            told += [(2 if len(home) < len(group.home) else 0, s) for s in log.settings]
    user = [
        Setting(k, v, config.source)
        for k, v in (("planned_steps", config.planned_steps), ("planned_epochs", config.planned_epochs))
        if v
    ]
    return (*user, *(s for _, s in sorted(told, key=lambda pair: pair[0])))


def _stage_word(group: _Group) -> str:
    return group.label.replace(" ", "_") or (group.home[-1].lower() if group.home else "")


def points(series: Sequence[Series]) -> int:
    """All points of several series, thinned ones included."""
    return sum(s.total for s in series)
