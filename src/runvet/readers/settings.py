"""Configuration files that a run left: yaml, json, toml, ini, argparse dumps, Hydra, W&B, Lightning, MLflow params."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from runvet.readers import Reader
from runvet.readers._json import emit_settings, loads, parse
from runvet.readers._json_array import whole_text
from runvet.readers._lines import head_text
from runvet.readers._options import ini, namespaces, pairs
from runvet.readers._yaml import values
from runvet.run import Plain
from runvet.sink import Sink
from runvet.source import Source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIMIT = 4 << 20
_NAMES = re.compile(
    r"(?:.*[_.\-])?(?:config|configs|cfg|conf|hparams?|hyperparams?|hyper_?parameters|args|arguments|opts?|options|params"
    r"|settings|training_args|train_args|flags|overrides|hydra|experiment|setup|trainer_config|run_config)(?:[_.\-].*)?",
    re.IGNORECASE,
)
SUMMARY = re.compile(
    r"(?:wandb-)?summary|(?:.*[_\-])?results|metrics|(?:.*[_\-])?metrics|evaluation|eval", re.IGNORECASE
)
_NEVER = re.compile(
    r"package(?:-lock)?|tokenizer(?:_config)?|vocab.*|merges|special_tokens_map|added_tokens|preprocessor_config"
    r"|processor_config|generation_config|modules|tsconfig.*|composer|manifest|pyproject|runvet|cargo|poetry|pipfile"
    r"|mkdocs|docker-?compose.*|environment|conda.*|\.pre-commit-config|\.?readthedocs|dvc|codecov|setup|tox|pytest|mypy"
    r"|\.git.*|\.travis|\.coveragerc|.*\.index|labels|expect|dataset_?infos?|dataset_dict|state|conanfile|babel",
    re.IGNORECASE,
)
# A file without a telling name is a configuration if some of these stand in it.
_WORDS = frozenset(
    (
        "lr", "learning_rate", "batch_size", "epochs", "num_epochs", "n_epochs", "max_epochs", "max_steps",
        "num_train_epochs", "n_updates", "seed", "optimizer", "weight_decay", "warmup_steps", "warmup_epochs",
        "total_steps", "num_steps", "train_steps", "max_iters", "gradient_accumulation_steps",
        "accumulate_grad_batches", "grad_clip", "world_size", "nproc_per_node", "num_workers", "use_amp", "amp",
        "mixed_precision", "precision", "fp16", "bf16", "git_commit", "git_sha", "git_hash",
        "commit_hash", "commit", "git_dirty", "working_dir", "working_directory", "cwd", "command", "argv", "cuda_version",
        "python_version", "torch_version", "resume", "checkpoint_dir", "output_dir", "save_dir", "log_dir",
        "dropout", "momentum", "scheduler", "lr_scheduler", "save_interval", "save_every", "eval_interval",
        "log_interval", "hidden_size", "n_layer", "num_layers", "model_type", "total_timesteps", "gamma",
        "buffer_size", "per_device_train_batch_size", "max_lr", "min_lr", "train_batch_size", "micro_batch_size",
        "micro_batch_size_per_gpu", "batch_size_per_gpu", "num_gpus", "gpus", "devices", "accelerator",
    )
)  # fmt: skip


def claims(source: Source) -> float:
    """By name or by content; package files, vocabularies, annotations and anything large are no configuration."""
    if source.size > LIMIT or source.size == 0 or (source.encoding == "utf-8" and b"\0" in source.head[:4_096]):
        return 0.0
    stem, suffix = PurePath(source.name).stem, source.suffix
    if _mlflow(source) is not None:
        return 0.9
    if _NEVER.fullmatch(stem) or suffix not in (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".txt", ""):
        return 0.0
    named = _NAMES.fullmatch(stem) is not None
    if suffix in (".txt", ""):
        return 0.85 if named and suffix == ".txt" and _is_dump(head_text(source)) else 0.0
    if suffix == ".json":
        return _claims_json(source, named)
    known = _known_words(head_text(source))
    hydra = source.path.parent.name == ".hydra"
    if named or hydra or (stem == "meta" and "run_id:" in head_text(source, 4_096)):
        return 0.9
    return 0.7 if known >= 2 else 0.0


def _claims_json(source: Source, named: bool) -> float:
    text = head_text(source, LIMIT) if len(source.head) >= source.size else source.text(LIMIT)
    if not text.lstrip("\ufeff \t\r\n").startswith("{") or text.count("\n{") > 2:
        return 0.0
    try:
        value = loads(text.lstrip("\ufeff"))
    except ValueError:
        return 0.5 if named else 0.0
    stem = PurePath(source.name).stem
    if not isinstance(value, dict) or not value or _is_table(value):
        return 0.0
    if SUMMARY.fullmatch(stem) and _is_summary(value):
        return 0.75
    if named:
        return 0.8
    return 0.7 if stem == "wandb-metadata" or _known_words(text) >= 2 else 0.0


def _is_table(value: Mapping[str, Any]) -> bool:
    """Whether a mapping is data: long lists, or very many keys (a vocabulary, annotations)."""
    long = any(isinstance(v, list) and len(v) > 64 and not isinstance(v[0], str) for v in value.values())
    return long or len(value) > 2_000


def _is_summary(value: Mapping[str, Any]) -> bool:
    numbers = [v for v in value.values() if isinstance(v, int | float) and not isinstance(v, bool)]
    nested = [v for v in value.values() if isinstance(v, dict)]
    return bool(numbers or nested) and len(value) <= 1_000


def _known_words(text: str) -> int:
    """How many different words of a training's configuration stand as keys in a text."""
    keys = re.findall(r"""(?m)(?:^|[{,\s])["']?([A-Za-z][\w\-]*)["']?\s*[:=]""", text[:65_536])
    return len({key.lower().replace("-", "_") for key in keys} & _WORDS)


def _is_dump(text: str) -> bool:
    """Whether a text is a dump of options: `Namespace(…)` first, or lines of key and value nearly throughout."""
    if re.match(r"\s*\w*(?:Namespace|Config|Args|Arguments)\(", text):
        return True
    found, other = pairs(text[:20_000])
    return len(found) >= 3 and other * 4 <= len(found)


def read(source: Source, sink: Sink) -> None:
    """Keep every value of the file under its dotted key."""
    name = _mlflow(source)
    if name is not None:
        sink.setting(name, whole_text(source, sink, 65_536).strip()[:2_000], line=1)
        return
    text = whole_text(source, sink, LIMIT)
    try:
        _parse(source, sink, text)
    except ValueError as error:
        line = re.search(r"line (\d+)", str(error))
        sink.problem(f"this configuration cannot be read: {error}", line=int(line[1]) if line else 0)


def _parse(source: Source, sink: Sink, text: str) -> None:
    if source.suffix == ".json":
        _json(source, sink, text)
    elif source.suffix == ".toml":
        try:
            emit_settings(sink, tomllib.loads(text))
        except RecursionError:
            raise ValueError("nested too deeply") from None
    elif source.suffix in (".ini", ".cfg", ".conf") and re.search(r"(?m)^\s*\[[^\]]+\]\s*$", text):
        for key, value in ini(text):
            sink.setting(key, value)
    elif source.suffix in (".txt", ".ini", ".cfg", ".conf", ""):
        found = list(namespaces(text)) or pairs(text)[0]
        for key, value, line in found[:5_000]:
            sink.setting(key, value, line=line)
    else:
        _yaml(source, sink, text)


def _json(source: Source, sink: Sink, text: str) -> None:
    value, why = parse(text)
    if why:
        sink.problem(why)
    if value is None:
        return
    if not isinstance(value, dict):
        sink.problem("its value is no object, so no configuration")
        return
    stem = PurePath(source.name).stem
    summary = SUMMARY.fullmatch(stem) and not _NAMES.fullmatch(stem)
    emit_settings(sink, {k: v for k, v in value.items() if k != "_wandb"}, "summary" if summary else "")


def _yaml(source: Source, sink: Sink, text: str) -> None:
    """YAML in its usual forms; W&B wraps each value as `{desc, value}`, MLflow's meta.yaml describes the run."""
    prefix = ("mlflow",) if source.name == "meta.yaml" else ()
    wrapped = re.search(r"(?m)^wandb_version:|^_wandb:|^\s+desc: (?:null|~)?\s*$", text) is not None
    for found in values(text):
        keys = found.keys
        if wrapped:
            if keys[:1] in (("_wandb",), ("wandb_version",)) or keys[1:2] == ("desc",):
                continue
            keys = (*keys[:1], *keys[2:]) if keys[1:2] == ("value",) else keys
        if not keys and isinstance(found.value, list):
            _overrides(found.value, found.line, sink)
        elif keys:
            sink.setting(".".join((*prefix, *keys)), found.value, line=found.line)


def _overrides(items: list[Plain], line: int, sink: Sink) -> None:
    """Hydra's list of `key=value` words from the command line."""
    for i, item in enumerate(items):
        key, equals, value = str(item).partition("=")
        if equals:
            sink.setting(f"overrides.{key.lstrip('+~')}", value, line=line + i)


def _mlflow(source: Source) -> str | None:
    """The name of the parameter that a file of MLflow's `params` folder holds."""
    parts = PurePath(source.path).parts
    for i, part in enumerate(parts[:-1]):
        if part == "params" and (source.path.parents[len(parts) - 1 - i] / "meta.yaml").exists():
            return "/".join(parts[i + 1 :])
    return None


reader = Reader("settings", claims, read, kind="settings")
