"""Configuration of a lab: a dataclass gives names, types and defaults; YAML files and `key=value` pairs change them.

Later ones win: defaults < the files in their order < the pairs. A sick configuration is a small file on top of a healthy one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

C = TypeVar("C")


class ConfigProblem(ValueError):
    """A configuration that can't be used; the message names the file, the key and what is allowed."""


def load(schema: type[C], files: Iterable[str | Path] = (), pairs: Sequence[str] = ()) -> C:
    """An instance of the dataclass `schema` from YAML files and pairs such as `train.lr=1e-3`. Raises ConfigProblem."""
    config: DictConfig = OmegaConf.structured(schema)
    for path in files:
        _merge(config, _read(Path(path)), str(path))
    for pair in pairs:
        if "=" not in pair:
            raise ConfigProblem(f"{pair!r} is not of the form key=value")
        _merge(config, OmegaConf.from_dotlist([pair]), f"{pair!r}")
    try:
        made = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigProblem(_first_line(error)) from None
    assert isinstance(made, schema)
    return made


def save(config: Any, path: str | Path) -> None:
    """Write a dataclass as YAML that `load` reads again."""
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"a dataclass instance is expected, not {type(config).__name__}")
    Path(path).write_text(yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read(path: Path) -> Any:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigProblem(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"{path}: not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigProblem(f"{path}: keys and values are expected, not {type(content).__name__}")
    return {
        key: value for key, value in content.items() if key != "expect"
    }  # what a sick file expects is for the judge


def _merge(config: DictConfig, content: Any, source: str) -> None:
    try:
        config.merge_with(content)
    except (ConfigKeyError, ConfigAttributeError) as error:
        raise ConfigProblem(
            f"{source}: unknown key {error.full_key!r}{_nearest(config, str(error.full_key))}"
        ) from None
    except OmegaConfBaseException as error:
        raise ConfigProblem(f"{source}: {error.full_key or ''}: {_first_line(error)}") from None


def _nearest(config: DictConfig, key: str) -> str:
    known = _keys(OmegaConf.to_container(config, enum_to_str=True))
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def _keys(value: Any, before: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [before]
    return [name for key, inner in value.items() for name in _keys(inner, f"{before}.{key}" if before else str(key))]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
