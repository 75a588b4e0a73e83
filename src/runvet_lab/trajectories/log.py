"""`train.log` in the words of the two published code bases, so that what reads theirs reads ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from runvet_lab.trajectories.config import Config
from runvet_lab.trajectories.samples import Samples


class EpochLog:
    """Appends to `train.log`; the seed's dialect names one path and its error, the rewrite's the three horizons."""

    def __init__(self, folder: Path, config: Config, found: Mapping[str, Samples]) -> None:
        if config.train.log_style not in ("seed", "rewrite"):
            raise ValueError(f"unknown log style {config.train.log_style!r}; known are seed and rewrite")
        self._file = (folder / "train.log").open("a", encoding="utf-8")
        self._style = config.train.log_style
        self._say(
            f"Config: {json.dumps({'epochs': config.train.epochs, 'batch_size': config.train.batch_size, 'loss': config.train.loss})}"
        )
        self._say(f"Train samples: {len(found['train'])} | Val samples: {len(found['val'])}")

    def write(
        self,
        epoch: int,
        loss: float,
        found: Mapping[str, float],
        rates: Mapping[str, float],
        predicted: np.ndarray[Any, Any],
        truth: Tensor,
    ) -> None:
        """One epoch."""
        if self._style == "rewrite":
            horizons = ", ".join(f"@{s}s: {found[f'val/l2_upto_{s}s']:.4f}m" for s in (2.5, 3.5, 4.5))
            self._say(f"Epoch {epoch + 1} Train - Total: {loss:.4f}, Traj: {loss:.4f}")
            self._say(f"  L2 Error  - {horizons}")
            self._say(f"Learning rate: {rates['lr']:.2e}")
            return
        one, other = truth[0].numpy(), predicted[0]
        wide = f"GT: [{one.min():.1f}, {one.max():.1f}] | Pred: [{other.min():.1f}, {other.max():.1f}]"
        off = float(np.linalg.norm(one[-1] - other[-1]))
        ends = f"GT: [{one[-1, 0]:.2f} {one[-1, 1]:.2f}] | Pred: [{other[-1, 0]:.2f} {other[-1, 1]:.2f}]"
        self._file.write(f"[Debug T=4.5s] {ends} | Error: {off:.2f}m | LR: {rates['lr']:.2e}\n")
        self._file.write(f"[Range] {wide} | Loss: {loss:.4f}\n")
        self._say(f"Train Loss: {loss:.4f} | LR Backbone: {rates['lr_backbone']:.2e} | LR Head: {rates['lr']:.2e}")
        self._say(f"Val L2 Error: {found['val/ade']:.4f} meters")

    def best(self, name: str, value: float) -> None:
        """A checkpoint that is the best so far by the metric that decides."""
        self._say(f"New best model: {name} {value:.6g}")

    def _say(self, words: str) -> None:
        now = datetime.now(tz=timezone.utc)
        stamp = now.strftime("%Y-%m-%d %H:%M:%S,") + f"{now.microsecond // 1000:03d}"
        self._file.write(f"{stamp} - [RegressionTrain] - {words}\n")
        self._file.flush()

    def __enter__(self) -> EpochLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
