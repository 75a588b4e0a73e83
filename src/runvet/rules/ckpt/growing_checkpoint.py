"""CKPT114 growing-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet import examples, statistics
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, broken
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.rules.ckpt._saves import table, told, weights_in
from runvet.run import Run

MIB = 1 << 20


@rule("CKPT114", "growing-checkpoint", level="warning", since="0.1")
def growing_checkpoint(
    checkpoints: Checkpoints,
    *,
    rate: float = 0.01,  # of the first size and save: less takes a hundred saves to double
    least: float = 5,  # saves; fewer show no trend
) -> Sick | None:
    """Checkpoints grow with every save while the model keeps its size.

    ## What it checks
    The size in bytes of saves of the same name: the slope over the saves (Theil-Sen) above `rate` of the first size
    for each save, rising nearly always, by a quarter and a mebibyte in all, while the number of the model's weights
    stays the same.
    ## Why it matters
    Something is collected in the state (a history, copies of the optimizer, graphs): the disk fills up, saving takes
    longer and longer, and memory probably grows the same way.
    ## What to do
    Compare the parts of the first and the last checkpoint; keep histories in a log, detach what is stored.
    ## When to ignore it
    A replay buffer that is saved on purpose while it fills.
    ## Known limits
    Fewer than `least` saves show no trend.
    ## References
    - huggingface/transformers#22822.
    """
    for family in checkpoints.families:
        saves = [s for s in family.saves if not broken(s)]
        if len(saves) < least or len({weights_in(s) for s in saves}) != 1:
            continue
        sizes = np.array([s.bytes for s in saves], np.float64)
        slope = statistics.theil_sen(np.arange(len(sizes), dtype=np.float64), sizes)
        grown = sizes[-1] - sizes[0]
        trend = statistics.kendall(sizes)
        if not (slope.low > rate * sizes[0] and trend.tau > 0.9 and grown > 0.25 * sizes[0] and grown > MIB):
            continue
        first, last = saves[0], saves[-1]
        return Sick(
            f"checkpoints grew from {_mb(first)} at {told(first)} to {_mb(last)} at {told(last)}, {percent(slope.slope / sizes[0])} with each of {len(saves)} saves;"
            f" the model has {weights_in(last):,} weights throughout",
            evidence=(
                Measure("growth with each save", round(slope.slope), "bytes"),
                Measure("Kendall's tau of size over saves", round(trend.tau, 3)),
                Measure(
                    "numbers beside the model",
                    last.parameters - weights_in(last),
                    f"{first.parameters - weights_in(first):,} at first",
                    last.path,
                ),
                *table(saves, "size", lambda c: c.bytes, "bytes"),
            ),
            since_step=saves[int(least) - 1].step,
            innocent="a replay buffer that is saved on purpose while it fills",
            actions=(
                Action(
                    f"Compare what {told(first)} and {told(last)} hold beside the weights; keep histories in a log",
                    "minutes",
                    "change",
                ),
            ),
        )
    return None


def _mb(save: Checkpoint) -> str:
    return f"{save.bytes / MIB:,.1f} MiB"


def sick() -> Iterator[Run]:
    """A history that is saved with the weights."""
    stage = examples.stage(loss=examples.decay(1000))
    steps = range(100, 1001, 100)
    yield examples.run(
        stage, checkpoints=[replace(c, bytes=20 * MIB + 2 * MIB * i) for i, c in enumerate(examples.training(steps))]
    )


def healthy() -> Iterator[Run]:
    """Sizes that stay, waver, or step up once when the optimizer's state appears; a model that grows."""
    stage = examples.stage(loss=examples.decay(1000))
    steps = range(100, 1001, 100)
    saves = examples.training(steps)
    yield examples.run(stage, checkpoints=saves)
    yield examples.run(stage, checkpoints=[replace(c, bytes=20 * MIB + (i % 3) * MIB) for i, c in enumerate(saves)])
    yield examples.run(
        stage, checkpoints=[replace(c, bytes=20 * MIB if i == 0 else 60 * MIB) for i, c in enumerate(saves)]
    )
    wide = [
        replace(
            examples.checkpoint(s, examples.checkpoint_weights(s, layers=tuple(f"b.{i}" for i in range(s // 100)))),
            bytes=s * MIB,
        )
        for s in steps
    ]
    yield examples.run(stage, checkpoints=wide)
