"""How the settings of two runs differ, and which differences are mere paths, dates and names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runvet.run import Plain, Run

_NOISE_KEY = re.compile(
    r"(?i)(?:^|[._-])(?:path|paths|dir|dirs|directory|folder|file|filename|root|home|cwd|date|time|timestamp|datetime|created|host|hostname"
    r"|node|user|username|pid|port|uuid|id|run_id|run_name|exp_name|experiment|experiment_name|project|entity|group|tags?|notes?|url|uri"
    r"|master_addr|master_port|logdir|log_dir|output|outdir|save|device|argv|command)$|(?:path|_dir|_file|_name|_at)$"
)
_NOISE_VALUE = re.compile(
    r"^(?:[\w.~$-]*[/\\][\w./\\ ~$-]+|\d{4}-\d\d-\d\d.*|\d{8}[-_]\d{4,6}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,64})$",
    re.I,
)


_SEED = re.compile(r"(?i)(?:^|[._-])(?:\w*_)?(?:random_?)?seed(?:_\w+)?$|(?:^|[._-])rng_?seed$")


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A key whose value differs; None with `missing` where one run does not have it. `noise`: a path, date or name."""

    key: str
    base: Plain
    other: Plain
    missing: Literal["", "base", "other"] = ""
    noise: bool = False


def settings_of(base: Run, other: Run) -> tuple[tuple[SettingDifference, ...], int]:
    """The settings that differ, those that matter first, and how many are the same."""
    mine, theirs = _settings(base), _settings(other)
    out, same = [], 0
    for name in dict.fromkeys((*mine, *theirs)):
        a, b = mine.get(name), theirs.get(name)
        if name in mine and name in theirs and a == b:
            same += 1
            continue
        missing: Literal["", "base", "other"] = (
            "" if name in mine and name in theirs else "base" if name in theirs else "other"
        )
        told = [v for v in (a, b) if v is not None]
        odd = bool(told) and all(isinstance(v, str) and _NOISE_VALUE.match(v) for v in told)
        odd = odd or (_is_folder(a, base) and _is_folder(b, other))
        out.append(SettingDifference(name, a, b, missing, bool(_NOISE_KEY.search(name)) or odd))
    return tuple(sorted(out, key=lambda d: (d.noise, bool(d.missing)))), same


def is_seed(name: str) -> bool:
    """Whether a setting of this name is a seed of random numbers."""
    return _SEED.search(name) is not None


def relation(base: Run, other: Run) -> Literal["repeat", "copy", "different"]:
    """Whether a run repeats another with a new seed, with the same one, or is another configuration.

    Repeats have known settings, of which none differs but seeds, paths, dates and names. Where no seed is known, equal
    settings make a repeat: a training without a fixed seed differs from run to run.
    """
    different, same = settings_of(base, other)
    kept = [d for d in different if not d.noise]
    if not same or any(not is_seed(d.key) for d in kept):
        return "different"
    return "repeat" if kept or not any(is_seed(name) for name in _settings(base)) else "copy"


def _is_folder(value: Plain, run: Run) -> bool:
    """Whether a value is the name of the folder or file in which the run lies."""
    return isinstance(value, str) and bool(value) and value in {*Path(run.path).parts, Path(run.path).stem}


def _settings(run: Run) -> Mapping[str, Plain]:
    """Every setting by its key; of several stages with different values, under the stage's name."""
    found: dict[str, Plain] = {}
    for stage in run.stages:
        for setting in stage.settings:
            name = setting.key
            if name in found and found[name] != setting.value:
                name = f"{stage.name}: {name}" if len(run.stages) > 1 else name
            found.setdefault(name, setting.value)
    for setting in run.settings:
        found.setdefault(setting.key, setting.value)
    return found
