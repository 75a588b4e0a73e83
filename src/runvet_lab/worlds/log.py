"""The log of a stage: JSON lines always; CSV, TensorBoard and Weights & Biases (offline) when asked; on rank 0 only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import yaml

from runvet_lab.base.extra import need
from runvet_lab.base.metrics import MetricLog
from runvet_lab.worlds.config import Config


class StageLog:
    """Rows of numbers by step below a stage's folder, and its settings beside them."""

    def __init__(self, fabric: Any, folder: Path, task: Any, config: Config) -> None:
        self._log: MetricLog | None = None
        self._board: Any = None
        self.device = fabric.device
        if not fabric.is_global_zero:
            return
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "stage": task.name, "seed": config.seed, "world_size": fabric.world_size,
            "parameters": sum(p.numel() for p in task.module.parameters()), **task.settings(),
        }  # fmt: skip
        (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        self._log = MetricLog(folder, formats=tuple(f for f in config.logs if f != "wandb"))
        if "wandb" in config.logs:
            os.environ.setdefault("WANDB_SILENT", "true")
            self._board = need("wandb", "wandb").init(
                project="tinyworlds", name=task.name, dir=str(folder), mode="offline", config=settings
            )

    def write(self, step: int, values: dict[str, float]) -> None:
        """One row."""
        if self._log is None or not values:
            return
        if self.device.type == "cuda":
            values = {
                **values,
                "system/gpu_memory_allocated": torch.cuda.memory_allocated() / 2**30,
                "system/gpu_memory_reserved": torch.cuda.memory_reserved() / 2**30,
            }
        self._log.write(step, values)
        if self._board is not None:
            self._board.log(json.loads(json.dumps(values)), step=step)

    def __enter__(self) -> StageLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._log is not None:
            self._log.close()
        if self._board is not None:
            self._board.finish()
