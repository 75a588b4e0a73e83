"""Checkpoints back into memory (`load`) or into a training (`restore`): weights only, verified first, any wrapper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.writing import ranks
from runvet.checkpoints.writing.errors import SaveFailed, need_torch
from runvet.checkpoints.writing.gather import as_module, named_parameters, spread
from runvet.checkpoints.writing.inert_state import stable
from runvet.checkpoints.writing.random_state import set_random_state
from runvet.checkpoints.writing.sharded import METADATA, read_sharded
from runvet.checkpoints.writing.write import STATE


def load(path: str | Path, *, map_location: Any = "cpu", verify: bool = True, mmap: bool = False) -> dict[str, Any]:
    """The state of a checkpoint that `save` or a manager wrote: 'model', 'optimizer', 'step', … Nothing in it is run.

    `verify` compares the files with their manifest first, where there is one. `mmap` leaves tensors on the disk until
    they are used. A sharded checkpoint is read whole. Raises SaveFailed where the bytes are not those that were
    written, FileNotFoundError, MissingTorch.
    """
    torch = need_torch()
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"no such checkpoint: {place}")
    manifest = manifests.place(place)
    if verify and manifest.is_file():
        problems = manifests.check(manifest)
        if problems:
            raise SaveFailed(f"{place} is not what was written: {problems[0].message}")
    if (place / METADATA).is_file():
        return read_sharded(place, map_location)
    file = place / STATE if place.is_dir() else place
    state: dict[str, Any] = torch.load(file, weights_only=True, map_location=map_location, mmap=mmap)
    return state


def restore(
    path: str | Path,
    *,
    model: Any = None,
    optimizer: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    ema: Any = None,
    rng: bool = True,
    strict: bool = True,
    verify: bool = True,
) -> dict[str, Any]:
    """Put a checkpoint back into the objects of a training, in whatever wrapper; every rank must call it.

    Returns what is left: 'step', 'epoch', 'extra'. Parts that are not given are not touched. Generators are put back
    where the number of ranks is the same. Raises KeyError where the checkpoint lacks a part, ValueError where the
    optimizer has other parameters, RuntimeError (torch's) where the model has others and `strict`, else as `load`.
    """
    state = load(path, verify=verify and ranks.rank() == 0)
    module = None if model is None else as_module(model)
    if model is not None:
        _set_module(model, module, _part(state, "model", path), strict=strict)
    if ema is not None:
        _set_module(ema, as_module(ema), _part(state, "ema", path), strict=strict)
    if optimizer is not None:
        _set_optimizers(module, optimizer, _part(state, "optimizer", path))
    for name, target in (("scheduler", scheduler), ("scaler", scaler)):
        if target is not None:
            _set_several(target, _part(state, name, path))
    random = state.get("rng")
    if rng and random and len(random) == ranks.world():
        set_random_state(random[ranks.rank()])
    return {k: state[k] for k in ("step", "epoch", "extra") if k in state}


def _part(state: Mapping[str, Any], name: str, path: str | Path) -> Any:
    if name not in state:
        raise KeyError(f"{path} holds no {name} state; it has {', '.join(map(str, state))}")
    return state[name]


def _set_module(given: Any, module: Any, state: Mapping[str, Any], *, strict: bool) -> None:
    if module is None:
        given.load_state_dict(state)
        return
    if spread(module):
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

        set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True, strict=strict))
        return
    own = {stable(name): name for name in module.state_dict(keep_vars=True)}
    module.load_state_dict({own.get(name, name): value for name, value in state.items()}, strict=strict)


def _set_optimizers(module: Any, given: Any, state: Mapping[str, Any]) -> None:
    torch = need_torch()
    if isinstance(given, Mapping):
        for name, optimizer in given.items():
            _set_optimizer(module, optimizer, state[name])
    elif isinstance(given, torch.optim.Optimizer):
        _set_optimizer(module, given, state)
    else:
        given.load_state_dict(state)


def _set_optimizer(module: Any, optimizer: Any, state: Mapping[str, Any]) -> None:
    if module is not None and spread(module) and state["state"]:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

        set_optimizer_state_dict(module, optimizer, dict(state), options=StateDictOptions(full_state_dict=True))
        return
    names = named_parameters(module)
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    index = {names.get(p, i): i for i, p in enumerate(ordered)}
    saved = [name for group in state["param_groups"] for name in group["params"]]
    if [len(g["params"]) for g in optimizer.param_groups] != [len(g["params"]) for g in state["param_groups"]] or set(
        saved
    ) != set(index):
        odd = sorted(map(str, set(saved) ^ set(index)))[:6]
        raise ValueError(f"the optimizer has other parameters or groups than the checkpoint: {', '.join(odd)}")
    optimizer.load_state_dict(
        {
            **state,
            "state": {index[name]: value for name, value in state["state"].items()},
            "param_groups": [{**g, "params": [index[n] for n in g["params"]]} for g in state["param_groups"]],
        }
    )


def _set_several(target: Any, state: Any) -> None:
    if isinstance(target, Mapping):
        for name, each in target.items():
            each.load_state_dict(state[name])
    elif isinstance(target, (list, tuple)):
        for each, saved in zip(target, state, strict=True):
            each.load_state_dict(saved)
    else:
        target.load_state_dict(state)
