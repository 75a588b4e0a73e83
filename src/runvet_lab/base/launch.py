"""Devices and processes: one configuration runs on CPU, on one GPU, or on many through Lightning Fabric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from runvet_lab.base.extra import need


@dataclass
class Launch:
    """Where and how a training runs; the names are Lightning Fabric's."""

    accelerator: str = "auto"  # cpu, cuda, mps, auto
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"  # auto, ddp, fsdp ...
    precision: str = "32-true"  # bf16-mixed on a GPU
    threads: int = 0  # of a CPU process; 0 leaves torch's choice
    compile: bool = False


def fabric(launch: Launch, seed: int, *, strategy: Any = None) -> Any:
    """A `lightning_fabric.Fabric` that is launched and seeded. Raises MissingExtra.

    `strategy` is an object to take in place of the name in `launch`. Under torchrun the number of devices and nodes is taken from its environment.
    """
    torch = need("torch")
    lightning = need("lightning_fabric")
    if launch.threads:
        torch.set_num_threads(launch.threads)
    made = lightning.Fabric(
        accelerator=launch.accelerator,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", launch.devices)),
        num_nodes=launch.nodes,
        strategy=strategy or launch.strategy,
        precision=launch.precision,
    )
    made.launch()
    made.seed_everything(seed, verbose=False)
    return made
