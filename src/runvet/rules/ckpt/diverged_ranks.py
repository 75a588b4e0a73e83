"""CKPT116 diverged-ranks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.checkpoints.folders import RANK
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.evidence.weights import bare, listed, trained
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import told, unread
from runvet.run import Run

# Every way of splitting a model over ranks keeps these whole on each, or splits them so that their size tells it.
_NORM = re.compile(
    r"(?i)(?:norm|(?:^|[._])bn_?\d*|(?:^|[._])ln[_\d]*|(?:^|[._])ln_\w+|layernorm|rmsnorm)\w*\.(?:weight|bias|scale|gamma|beta)$"
)


@dataclass(frozen=True, slots=True)
class Copy:
    """One weight as a rank's file holds it."""

    file: str
    digest: str
    shape: tuple[int, ...]
    dtype: str
    mean: float
    std: float


@rule("CKPT116", "diverged-ranks", level="critical", since="0.1")
def diverged_ranks(
    checkpoints: Checkpoints, *, apart: float = 0.01
) -> Sick | Unsure | None:  # 1 %: more than a rounding step of bfloat16 makes
    """Weights that every rank must hold alike differ between the files of the ranks.

    ## What it checks
    In checkpoints with one file for each rank: normalisation weights of full size (as wide as the inputs of the
    layers beside them), which tensor and data parallelism keep on every rank. A warning where mean and spread differ
    by less than `apart`, which rounding could do.
    ## Why it matters
    Each rank trains another model; the loss still falls, and whatever is put together from the files is bad.
    ## What to do
    Look for a missing all-reduce of the gradients of these weights, and for ranks that started from other weights.
    ## When to ignore it
    Ranks that train different models on purpose (experts, ensembles).
    ## Known limits
    Weights that are split by columns or rows cannot be told from replicated ones, and are not compared.
    ## References
    - pytorch/pytorch#160169, NVIDIA/Megatron-LM#1446, NVIDIA/TransformerEngine#441.
    """
    ranked = [s for s in checkpoints.saves if len(_files(s)) > 1]
    if checkpoints.unscanned and any(s.values is None for s in ranked):
        return unread(checkpoints)
    for save in reversed([s for s in ranked if s.values is not None]):
        copies = _copies(save)
        different = {n: c for n, c in copies.items() if len({x.digest for x in c}) > 1}
        if different:
            return _diverged(save, copies, different, apart)
    return None


def _files(save: Checkpoint) -> list[Checkpoint]:
    return [p for p in save.parts if RANK.match(p.path.rpartition("/")[2]) and p.tensors]


def _copies(save: Checkpoint) -> dict[str, list[Copy]]:
    """Normalisation weights that stand with one shape in all files of the ranks, at full size."""
    found: dict[str, list[Copy]] = {}
    files = _files(save)
    for part in files:
        values = part.values
        if values is None:
            return {}
        inputs = {t.shape[1] for _, t in trained(part) if len(t.shape) == 2}
        for i, t in trained(part):
            if (
                len(t.shape) == 1
                and t.shape[0] in inputs
                and t.shape[0] > 1
                and _NORM.search(t.name)
                and values.scanned[i]
            ):
                found.setdefault(bare(t.name), []).append(
                    Copy(part.path, values.digest[i], t.shape, t.dtype, float(values.mean[i]), float(values.std[i]))
                )
    return {n: c for n, c in found.items() if len(c) == len(files) and len({(x.shape, x.dtype) for x in c}) == 1}


def _diverged(save: Checkpoint, copies: dict[str, list[Copy]], different: dict[str, list[Copy]], apart: float) -> Sick:
    far = {n: _apart(c) for n, c in different.items()}
    worst = max(far, key=lambda n: far[n])
    pair = different[worst]
    return Sick(
        f"{len(different)} of {len(copies)} normalisation weights that all ranks share differ between {len(pair)} rank files of {told(save)}: {listed(different)}",
        evidence=(
            Measure("weights that differ between ranks", len(different), f"of {len(copies)}", save.path),
            Measure(f"largest relative difference of mean or spread ({worst})", round(far[worst], 6)),
            *(Measure(f"mean of {worst}", c.mean, None, c.file) for c in pair[:8]),
        ),
        since_step=save.step,
        innocent="ranks that train different models on purpose, such as experts or an ensemble",
        actions=(
            Action("Stop and look for gradients that are not reduced over all ranks; compare these weights after one step", "minutes", "stop"),
            Action("Do not merge the files of the ranks: go back to a checkpoint in which they agree", BACK, "keep"),
        ),
        level=None if far[worst] >= apart else "warning",
    )  # fmt: skip


def _apart(copies: list[Copy]) -> float:
    """The largest difference of means or spreads between ranks beside the size of the values."""
    mean, std = np.array([c.mean for c in copies]), np.array([c.std for c in copies])
    size = float(np.sqrt(mean**2 + std**2).max())
    return float(max(np.ptp(mean), np.ptp(std)) / size) if size > 0 else 0.0


def _rank_files(norms: tuple[float, float], *, rows: int = 4) -> Checkpoint:
    """Two files of ranks with their own rows of a layer and a normalisation weight each."""
    files = {}
    for rank, level in enumerate(norms):
        rng = np.random.default_rng(rank)
        files[f"model_rank_{rank}.pt"] = {
            "model.layer.weight": rng.standard_normal((rows, 8)).astype(np.float32),
            "model.norm.weight": np.full(8, level, np.float32),
        }
    return examples.checkpoint(1000, parts=files, path="step_{step}")


def sick() -> Iterator[Run]:
    """A normalisation weight that differs; one that differs slightly."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=[_rank_files((1.0, 1.3))])
    yield examples.run(stage, checkpoints=[_rank_files((1.0, 1.0005))])


def healthy() -> Iterator[Run]:
    """Equal normalisation weights with different rows; one file; weights split into halves."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=[_rank_files((1.0, 1.0))])
    yield examples.run(stage, checkpoints=examples.training((500, 1000)))
    halves = {
        f"model_rank_{r}.pt": {
            "model.layer.weight": np.ones((4, 16), np.float32),
            "model.norm.weight": np.full(8, float(r), np.float32),
        }
        for r in (0, 1)
    }
    yield examples.run(stage, checkpoints=[examples.checkpoint(1000, parts=halves, path="step_{step}")])
