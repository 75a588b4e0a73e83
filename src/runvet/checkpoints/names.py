"""What file, folder and key names say: steps, epochs, and which part of the training state something is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from runvet.checkpoints.model import Role, Scalar

_STEP = re.compile(
    r"(?i)(?:^|[^a-z])(?:global[_-]?)?(?:steps?|iter(?:ation)?s?|it|updates?|batch|ba|kimg|timesteps?)[_=\-. ]{0,2}0*(\d{1,15})(?!\d)"
)
_STEP_AFTER = re.compile(
    r"(?i)(?:^|[^\da-z.=])(\d{1,15})[_-]?(?:steps?|iters?|iterations?|updates?|timesteps)(?![a-z])"
)
_GLOBAL_STEP = re.compile(r"(?i)global[_-]?steps?[_=\-]?0*(\d{1,15})")
_EPOCH = re.compile(r"(?i)(?:^|[^a-z])(?:epochs?|ep|e)[_=\-. ]{0,2}0*(\d{1,9}(?:\.\d{1,4}(?!\w))?)(?!\d)")
_EPOCH_AFTER = re.compile(r"(?i)(?:^|[^\da-z.=])(\d{1,9})[_-]?epochs?(?![a-z])")
_DATE = re.compile(r"^(?:19|20)\d{6}(?:\d{4}|\d{6})?$")
_PLAIN = re.compile(
    r"(?i)^(?:(?:[a-z]+[_-])*(?:checkpoint|ckpt|chkpt|chkpnt|cp|model|weights?|net|network|state|snapshot|save|params?|optim(?:izer)?|meta|G|D|generator|discriminator"
    r"|policy|ema|best|right|network-snapshot|rl_model|agent|iter)[_\-. ]?(?:\d\.\d+[_-])?)?0*(\d{1,12})(?:[_-](?:model|optim(?:izer)?|ema|state|net_\w+))?$"
)
_SUFFIXES = re.compile(
    r"(?i)(?:\.(?:pt|pth|ckpt|safetensors|bin|pkl|pickle|tar|h5|hdf5|keras|weights|npz|npy|msgpack|zip|params|th|pyth|distcp|model|chkpt|tmp|index|json|gguf|orbax-checkpoint-tmp\S*))+$"
)
_SHARD = re.compile(
    r"(?i)[-_.]?(?:rank[_-]?\d+(?:[_-]?(?:of|world_size)[_-]?\d+)?|\d{1,6}-of-\d{1,6}|world_size_\d+_rank_\d+)"
)
_WORDS = re.compile(r"[a-z]+|\d+")
TENSORFLOW_DATA = re.compile(r"^(?P<prefix>.+)\.data-(?P<shard>\d{5})-of-(?P<count>\d{5})$")

_OPTIMIZER = {
    "optimizer",
    "optimizers",
    "optim",
    "optims",
    "opt",
    "opts",
    "optimiser",
    "optimisers",
    "adam",
    "adamw",
    "muon",
    "sgd",
}
_EMA = {"ema", "shadow", "averaged", "swa", "polyak"}
_OTHER = {
    "scheduler", "schedulers", "sched", "rng", "random", "scaler", "loops", "sampler", "dataloader", "loader", "callbacks", "args", "hparams", "hyper",
    "meta", "metadata", "training", "config", "stats", "history", "tokenizer", "vocab", "buffer", "replay",
}  # fmt: skip
_STEP_KEYS = (
    "global_step", "step", "steps", "global_steps", "iteration", "iter", "iterations", "it", "n_iter", "current_step", "train_step", "train_steps", "total_steps",
    "num_steps", "global_iteration", "iter_num", "current_iter", "iteration_num", "num_updates", "updates", "num_timesteps", "step_num", "training_step", "trained_steps",
)  # fmt: skip
_EPOCH_KEYS = (
    "epoch",
    "epochs",
    "current_epoch",
    "epoch_num",
    "num_epoch",
    "epochs_done",
    "start_epoch",
    "epoch_idx",
    "epochs_trained",
)
_INNER = (
    "meta",
    "state",
    "trainer",
    "train_state",
    "trainer_state",
    "training_state",
    "progress",
    "train_stats",
    "counters",
    "metadata",
    "info",
    "extra",
    "extra_state",
    "train",
    "__metadata__",
)


def stem(name: str) -> str:
    """A file's name without its suffixes: `step_10` for `step_10.pth.tar`, `weights_00` for `weights_00.weights.h5`."""
    return _SUFFIXES.sub("", name) or name


def step_of(name: str) -> int | None:
    """The step that a file's or folder's name gives, else None. A bare number after a usual word is one."""
    text = _SHARD.sub("", stem(name))
    found = _GLOBAL_STEP.search(text) or _STEP.search(text) or _STEP_AFTER.search(text)
    if found:
        return int(found[1])
    if _EPOCH.search(text) or _EPOCH_AFTER.search(text):
        return None
    plain = _PLAIN.match(text)
    return int(plain[1]) if plain and not _DATE.match(plain[1]) else None


def epoch_of(name: str) -> float | None:
    """The epoch that a file's or folder's name gives, else None."""
    text = _SHARD.sub("", stem(name))
    found = _EPOCH.search(text) or _EPOCH_AFTER.search(text)
    return float(found[1]) if found else None


def counted(plain: Mapping[str, Scalar]) -> tuple[int | None, float | None]:
    """Step and epoch from the values beside the tensors: at the top, else one level down in a usual place."""
    return _count(plain, _STEPS, whole=True), _count(plain, _EPOCHS, whole=False)  # type: ignore[return-value]


def _ranked(keys: tuple[str, ...]) -> dict[str, int]:
    """Full names of counters with their rank: those at the top first."""
    return {key: i for i, key in enumerate(p + k for p in ("", *(f"{p}." for p in _INNER)) for k in keys)}


_STEPS, _EPOCHS = _ranked(_STEP_KEYS), _ranked(_EPOCH_KEYS)


def _count(plain: Mapping[str, Scalar], ranks: Mapping[str, int], *, whole: bool) -> float | None:
    for key in sorted((k for k in plain if k in ranks), key=ranks.__getitem__):
        value = plain[key]
        if isinstance(value, str) and re.fullmatch(r"\d{1,15}(?:\.\d{1,6})?", value):
            value = float(value)  # the metadata of safetensors are strings
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15:
            if whole and value == int(value):
                return int(value)
            if not whole:
                return value
    return None


@lru_cache(65_536)
def words(name: str) -> frozenset[str]:
    """The lower-case words of a name in any writing: {'optim', 'state', 'dict'} for `optim_state_dict`."""
    return frozenset(_WORDS.findall(re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))


@lru_cache(4096)
def role_of_key(key: str) -> Role | None:
    """The role that a container's key gives to what is in it, or None where it says nothing."""
    said = words(key[:80])
    if said & _EMA:
        return "ema"
    if said & _OPTIMIZER and not said & {"scheduler", "schedulers"}:
        return "optimizer"
    if said & _OTHER or {"message", "hub"} <= said:  # mmengine keeps its log history in its message hub
        return "other"
    return None


def role_of_file(name: str) -> Role | None:
    """The role that a file's name gives to what is in it: `optim_state_dict.pt`, `scheduler.bin`, `rng_state_0.pth`."""
    text = stem(name)
    said = words(text)
    if said & {"model", "net", "unet", "policy"} and said & _OPTIMIZER and not said & {"states"}:
        return "optimizer" if text.lower().endswith(("optimizer", "optim", "opt")) else None
    if (
        said & {"rng", "random"}
        or "scheduler" in said
        or "scaler" in said
        or {"training", "args"} <= said
        or {"custom", "checkpoint"} <= said
    ):
        return "other"
    return (
        role_of_key(text)
        if said & (_EMA | _OPTIMIZER)
        else "other"
        if said & {"meta", "args", "sampler", "dl", "sched"}
        else None
    )


@lru_cache(4096)
def role_of_tensor(key: str) -> Role | None:
    """The role of a tensor that lies beside others under its own name: `ema.0.weight`, `step`, `rng_state`."""
    first = key.partition(".")[0].lower()
    if re.fullmatch(r"(?:\w+_)?ema(?:_\w+)?", first):
        return "ema"
    return "other" if key.lower() in _STEP_KEYS or key.lower() in _EPOCH_KEYS or "rng" in words(key) else None
