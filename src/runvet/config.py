"""`runvet.toml` beside the run, or `[tool.runvet]` in pyproject.toml: what the user decides."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runvet.checkpoints.places import Place, RemotePath

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class ConfigError(ValueError):
    """The configuration holds something that runvet does not understand; the message names file and remedy."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A milestone: within a span of steps or epochs, a metric is expected inside a range (both ends included)."""

    axis: str  # "steps" or "epochs"
    start: float
    end: float
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Config:
    """What the user decided; every field has a default."""

    select: tuple[str, ...] = ()
    ignore: Mapping[str, str] = field(default_factory=dict)  # code, name or family -> reason
    names: Mapping[str, str] = field(default_factory=dict)  # metric name -> role, or up / down
    planned_steps: float | None = None
    planned_epochs: float | None = None
    expected: tuple[Expected, ...] = ()
    window: float | None = None  # length of the report's windows in steps, instead of a round one
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # rule -> threshold -> value
    source: str = ""


KEYS = ("select", "ignore", "names", "planned_steps", "planned_epochs", "expected", "window", "thresholds")


def find(path: Place) -> Config:
    """The configuration that holds for a run: the first runvet.toml in the run's folder or above it, else the
    first pyproject.toml with `[tool.runvet]`, else the defaults. Of a run behind a URL: those of the current folder.

    Raises ConfigError.
    """
    path = Path() if isinstance(path, RemotePath) else path
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.resolve().parents):
        own = folder / "runvet.toml"
        if own.is_file():
            return load(own)
        project = folder / "pyproject.toml"
        if project.is_file():
            table = _toml(project).get("tool", {})
            if isinstance(table, dict) and isinstance(table.get("runvet"), dict):
                return parse(table["runvet"], str(project))
    return Config()


def load(path: Path) -> Config:
    """Read one runvet.toml. Raises ConfigError."""
    return parse(_toml(path), str(path))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(table: Mapping[str, Any], source: str) -> Config:
    """The configuration in a TOML table. Raises ConfigError for an unknown key, naming the nearest known one."""
    for key in table:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            raise ConfigError(
                f"{source}: unknown key {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(KEYS)}")
            )
    select = table.get("select", [])
    if not isinstance(select, list) or not all(isinstance(s, str) for s in select):
        raise ConfigError(f"{source}: select is a list of codes, names or families")
    ignore = table.get("ignore", {})
    if not isinstance(ignore, dict) or not all(isinstance(v, str) and v.strip() for v in ignore.values()):
        raise ConfigError(f'{source}: ignore is a table code = "reason": every ignored rule needs its reason')
    return Config(
        tuple(select),
        dict(ignore),
        _names(table.get("names", {}), source),
        _positive(table, "planned_steps", source),
        _positive(table, "planned_epochs", source),
        tuple(_expected(entry, source) for entry in table.get("expected", [])),
        _positive(table, "window", source),
        _thresholds(table.get("thresholds", {}), source),
        source,
    )


def _names(table: Any, source: str) -> dict[str, str]:
    """Metrics with their roles or directions. Raises ConfigError for another word, naming the nearest role."""
    from runvet.roles import ROLES

    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise ConfigError(f'{source}: names is a table "metric" = "role" (or "up" / "down")')
    for metric, told in table.items():
        if told not in (*ROLES, "up", "down"):
            near = [r for r in ROLES if r.endswith(f"_{told}")][:3] or difflib.get_close_matches(told, ROLES, 1)
            hint = (
                f"did you mean {' or '.join(map(repr, near))}?" if near else f"roles: {', '.join(ROLES)}; or up, down"
            )
            raise ConfigError(f"{source}: names: {told!r} of {metric!r} is no role; {hint}")
    return dict(table)


def _positive(table: Mapping[str, Any], key: str, source: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ConfigError(f"{source}: {key} is a positive number")
    return float(value)


def _thresholds(table: Any, source: str) -> dict[str, dict[str, float]]:
    if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
        raise ConfigError(f"{source}: thresholds are tables, one a rule: [thresholds.rising-loss] critic_factor = 6")
    for name, values in table.items():
        for key, value in values.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{source}: thresholds.{name}.{key} is a number")
    return {name: {k: float(v) for k, v in values.items()} for name, values in table.items()}


def _expected(entry: Any, source: str) -> Expected:
    axes = [a for a in ("steps", "epochs") if isinstance(entry, dict) and a in entry]
    if len(axes) != 1:
        raise ConfigError(f"{source}: each [[expected]] has either steps = [from, to] or epochs = [from, to]")
    pairs = {key: _pair(value, f"{source}: expected {key}") for key, value in entry.items()}
    start, end = pairs.pop(axes[0])
    if not pairs:
        raise ConfigError(f"{source}: an [[expected]] names no metric, e.g. loss = [0.3, 0.8]")
    return Expected(axes[0], start, end, pairs)


def _pair(value: Any, what: str) -> tuple[float, float]:
    good = (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    )
    if not good or value[0] > value[1]:
        raise ConfigError(f"{what} is a range [low, high]")
    return float(value[0]), float(value[1])
