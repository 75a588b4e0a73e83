"""Processes: what `base.launch` gives, and FSDP2 (`strategy: fsdp2`), which shards each transformer block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import nn

from runvet_lab.base.extra import need
from runvet_lab.base.launch import Launch, fabric
from runvet_lab.worlds.models.transformer import Block


def launched(launch: Launch, seed: int, timeout: float) -> Any:
    """A launched Fabric. Several CPU processes talk through gloo; a rank that waits longer than `timeout` s gives up."""
    if launch.strategy == "auto" or launch.strategy == "cpu":
        return fabric(launch, seed)
    strategies = need("lightning_fabric.strategies")
    limit = timedelta(seconds=timeout)
    made: Any = launch.strategy
    if launch.strategy == "fsdp2":
        count = int(os.environ.get("WORLD_SIZE", launch.devices * launch.nodes))
        made = strategies.ModelParallelStrategy(
            _sharded, data_parallel_size=count, tensor_parallel_size=1, timeout=limit
        )
    elif launch.strategy == "ddp":
        made = strategies.DDPStrategy(timeout=limit)
    return fabric(launch, seed, strategy=made)


def is_sharded(module: nn.Module) -> bool:
    """Whether FSDP2 spreads the parameters over ranks, so that every rank must take part in using them."""
    return isinstance(module, torch.distributed.fsdp.FSDPModule)


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Every rank has all parameters of a sharded module; others are left as they are."""
    parts = [part for part in module.modules() if isinstance(part, torch.distributed.fsdp.FSDPModule)]
    for part in parts:
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()


def _sharded(model: nn.Module, mesh: Any) -> nn.Module:
    fully_shard = torch.distributed.fsdp.fully_shard
    for part in model.modules():
        if isinstance(part, Block):
            fully_shard(part, mesh=mesh["data_parallel"], reshard_after_forward=False)
    fully_shard(model, mesh=mesh["data_parallel"], reshard_after_forward=False)
    return model
