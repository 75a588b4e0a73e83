"""The state of a training as one inert tree, the same whatever wraps the modules. Every rank must take part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runvet.checkpoints.writing import ranks
from runvet.checkpoints.writing.errors import need_torch
from runvet.checkpoints.writing.inert_state import inert, stable, stable_keys
from runvet.checkpoints.writing.random_state import random_state


@dataclass(slots=True)
class Parts:
    """What to save. Modules may be wrapped (DDP, FSDP, torch.compile), or several by name; states may be plain mappings."""

    model: Any = None
    optimizer: Any = None
    scheduler: Any = None
    scaler: Any = None
    ema: Any = None
    extra: Mapping[str, Any] | None = None
    step: int | None = None
    epoch: float | None = None
    rng: bool = True


@dataclass(slots=True)
class Gathered:
    """The inert tree (of rank 0; nothing elsewhere unless sharded), and the shapes of the parameters by part.

    `live` are the addresses of memory that training goes on to write to, where gathering has made copies of what is
    spread; None where it has made none.
    """

    state: dict[str, Any]
    expected: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    live: frozenset[int] | None = None


def gather(parts: Parts, *, sharded: bool = False, offload: bool = True) -> Gathered:
    """Gather all parts; collective. `sharded` keeps each rank's pieces, `offload` moves full tensors to the CPU.

    Raises TypeError for values that only unpickling could bring back.
    """
    state: dict[str, Any] = {}
    made = Gathered(state)
    if parts.step is not None:
        state["step"] = int(parts.step)
    if parts.epoch is not None:
        state["epoch"] = float(parts.epoch) if parts.epoch != int(parts.epoch) else int(parts.epoch)
    module = None
    for name, given in (("model", parts.model), ("ema", parts.ema)):
        if given is None:
            continue
        one = as_module(given)
        made.expected[name] = {} if one is None else shapes(one)
        state[name] = (
            _module_state(one, sharded, offload) if one is not None else _full(stable_keys(_state(given)), sharded)
        )
        module = one if name == "model" else module
    if parts.optimizer is not None:
        state["optimizer"] = _optimizers(module, parts.optimizer, sharded)
    for name, given in (("scheduler", parts.scheduler), ("scaler", parts.scaler), ("extra", parts.extra)):
        if given is not None:
            state[name] = _several(given)
    if parts.rng:
        state["rng"] = ranks.collected(random_state())
    made.live = _live(parts) if module is not None and spread(module) else None
    made.state = inert(state) if sharded or ranks.rank() == 0 else {}
    return made


def as_module(given: Any) -> Any:
    """The module without its wrappers, several by name as one; None where it is no module."""
    torch = need_torch()
    if isinstance(given, Mapping) and given and all(isinstance(m, torch.nn.Module) for m in given.values()):
        return torch.nn.ModuleDict({name: as_module(m) for name, m in given.items()})
    if not isinstance(given, torch.nn.Module):
        return None
    wrappers = (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)
    while True:
        if isinstance(given, wrappers):
            given = given.module
        elif isinstance(inner := getattr(given, "_orig_mod", None), torch.nn.Module):
            given = inner  # torch.compile
        elif isinstance(inner := getattr(given, "_forward_module", None), torch.nn.Module):
            given = inner  # Lightning Fabric
        else:
            return given


def shapes(module: Any) -> dict[str, tuple[int, ...]]:
    """The global shape of every parameter by stable name; empty for flat FSDP, whose parameters are not the model's."""
    if _flat(module):
        return {}
    return {stable(name): tuple(p.shape) for name, p in module.named_parameters()}


def spread(module: Any) -> bool:
    """Whether the module's parameters are spread over ranks (FSDP, tensor parallel), so that gathering makes copies."""
    from torch.distributed.tensor import DTensor

    return _flat(module) or any(isinstance(p, DTensor) for p in module.parameters())


def _live(parts: Parts) -> frozenset[int]:
    """The memory of every tensor that was given, on this rank: what is not spread is gathered as it is."""
    given = (parts.model, parts.optimizer, parts.scheduler, parts.scaler, parts.ema, parts.extra)
    return frozenset(t.untyped_storage().data_ptr() for one in given for t in _tensors(one))


def _tensors(given: Any) -> Iterator[Any]:
    """The strided tensors, pieces of spread ones, of a module, an optimizer, an object with a state or a tree of such."""
    torch = need_torch()
    if isinstance(given, torch.Tensor):
        own = given.to_local() if hasattr(given, "to_local") else given
        if own.layout is torch.strided:
            yield own
    elif isinstance(given, torch.nn.Module):
        yield from _tensors([*given.parameters(), *given.buffers()])
    elif isinstance(given, torch.optim.Optimizer):
        yield from _tensors(given.state)
    elif isinstance(given, Mapping):
        yield from _tensors(list(given.values()))
    elif isinstance(given, (list, tuple)):
        for one in given:
            yield from _tensors(one)
    elif hasattr(given, "state_dict"):
        yield from _tensors(given.state_dict())


def options(sharded: bool, offload: bool) -> Any:
    """How torch.distributed.checkpoint gathers."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=not sharded, cpu_offload=offload and not sharded)


def named_parameters(module: Any) -> dict[Any, str]:
    """Stable names by parameter."""
    return {} if module is None else {p: stable(n) for n, p in module.named_parameters()}


def _module_state(module: Any, sharded: bool, offload: bool) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import get_model_state_dict

    state = get_model_state_dict(module, options=options(sharded, offload or spread(module)))
    return {stable(name): value for name, value in state.items()}


def _optimizers(module: Any, given: Any, sharded: bool) -> Any:
    torch = need_torch()
    if isinstance(given, torch.optim.Optimizer):
        return _optimizer_state(module, given, sharded)
    if isinstance(given, Mapping) and given and all(isinstance(o, torch.optim.Optimizer) for o in given.values()):
        return {name: _optimizer_state(module, o, sharded) for name, o in given.items()}
    return _full(_state(given), sharded)


def _optimizer_state(module: Any, optimizer: Any, sharded: bool) -> dict[str, Any]:
    """Its state by parameter names. torch's own gathering would take a step where there is no state yet: not asked then."""
    if module is not None and spread(module) and optimizer.state:
        from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

        gathered: dict[str, Any] = get_optimizer_state_dict(module, optimizer, options=options(sharded, True))
        return gathered
    names = named_parameters(module)
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    by_index = {i: names.get(p, i) for i, p in enumerate(ordered)}
    state = optimizer.state_dict()
    return {
        **state,
        "state": {by_index[i]: value for i, value in state["state"].items()},
        "param_groups": [{**g, "params": [by_index[i] for i in g["params"]]} for g in state["param_groups"]],
    }


def _several(given: Any) -> Any:
    """A state, or several by name."""
    if isinstance(given, Mapping):
        return {k: _state(v) if hasattr(v, "state_dict") else v for k, v in given.items()}
    if isinstance(given, (list, tuple)):
        return [_several(g) for g in given]
    return _state(given)


def _state(given: Any) -> Any:
    """A plain mapping, or the state of an object that has one."""
    if isinstance(given, Mapping):
        return given
    if not hasattr(given, "state_dict"):
        raise TypeError(f"a {type(given).__qualname__} is neither a state nor an object with state_dict()")
    return given.state_dict()


def _full(state: Any, sharded: bool) -> Any:
    """A plain state with tensors that are spread over ranks made whole; collective."""
    if sharded:
        return state
    if isinstance(state, Mapping):
        return {k: _full(v, sharded) for k, v in state.items()}
    return state.full_tensor() if hasattr(state, "full_tensor") else state


def _flat(module: Any) -> bool:
    """Whether the first FSDP wraps something in it."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    return any(isinstance(m, FullyShardedDataParallel) for m in module.modules())
