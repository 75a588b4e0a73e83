"""GEN123 chosen-by-loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.model import Array
from runvet.artifacts.steps import StepSamples
from runvet.evidence.curves import ValLoss
from runvet.evidence.sweep import Sweep
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.run import Run, Setting, Stage
from runvet.statistics.two_samples import mann_whitney

# Keys that say what decides on the best checkpoint; `metric` alone only where its section says that it stops or saves.
DECIDES = (
    "monitor",
    "metric_for_best_model",
    "best_metric",
    "checkpoint_metric",
    "early_stopping_metric",
    "monitor_metric",
    "metric",
)
SECTIONS = ("stop", "checkpoint", "best", "patience", "callback")


@rule("GEN123", "chosen-by-loss", level="warning", since="0.1", explains=("LOSS105", "LOSS125", "GEN109"))
def chosen_by_loss(
    sweep: Sweep, held_out: ValLoss, stage: Stage, *, p_value: float = 0.01, factor: float = 1.5
) -> Sick | Unsure | None:
    """The checkpoint that the held-out loss chooses makes worse samples than another one.

    ## What it checks
    Where the configuration lets a loss decide on the best checkpoint: the samples of the step whose held-out loss is
    lowest against those of every other step with at least four samples, by their distance to the data (filled cells,
    connectedness, foreign ids). A warning where another step's is lower by a factor of 1.5 with p below 0.01
    (Mann-Whitney, divided by the number of steps).
    ## Why it matters
    The held-out loss of a generative model rises as soon as it grows sure of details, while its samples go on getting
    better, or worse: it is kept, reported and shipped by a number that does not measure what is wanted.
    ## What to do
    Let a metric of the samples decide, and keep the checkpoint that is named.
    ## When to ignore it
    Likelihoods are what the model is for.
    ## Known limits
    Steps without samples cannot be ranked; the nearest one with samples stands for the lowest loss.
    ## References
    - Theis et al. 2016, A note on the evaluation of generative models, arXiv 1511.01844.
    """
    told = _decides(stage)
    ranked = [s for s in sweep.steps if s.interval is not None]
    curve = held_out.lead.finite()
    if told is None or sweep.axis != curve.axis or len(curve) < 3:
        return None
    if len(ranked) < 2:
        return Unsure("fewer than two steps have four samples", "keep 8 samples at each evaluation")
    lowest = float(curve.x()[int(np.argmin(curve.value))])
    chosen = min(ranked, key=lambda s: abs(s.step - lowest))
    best = min(ranked, key=lambda s: s.median)
    here, there = chosen.median, best.median
    p = mann_whitney(best.distances, chosen.distances) * (len(ranked) - 1)
    if best is chosen or here < factor * max(there, 0.05) or p > p_value:
        return None
    return _report(sweep.axis, told, chosen, best, ranked, f"{curve.name} {num(float(curve.value.min()))}", lowest, p)


def _report(
    axis: str,
    told: Setting,
    chosen: StepSamples,
    best: StepSamples,
    ranked: Sequence[StepSamples],
    loss: str,
    lowest: float,
    p: float,
) -> Sick:
    return Sick(
        f"{told.key} is {told.value}: its lowest value, {loss} at {axis} {lowest:,.0f}, chooses samples at a distance of"
        f" {chosen.median:.2f} to the data; those of {axis} {best.step:,.0f} are at {best.median:.2f} (p = {min(p, 1):.2g})",
        evidence=(
            Measure("what decides on the best checkpoint", str(told.value), None, told.where),
            *(Measure(f"distance at {axis} {s.step:,.0f}, median", round(s.median, 4), None, f"{len(s.distances)} samples") for s in ranked),
        ),
        since_step=lowest if axis == "step" else None,
        innocent="likelihoods are what the model is for",
        actions=(
            Action(f"Use the checkpoint of {axis} {best.step:,.0f}, and let a metric of the samples decide", "config", "keep"),
        ),
    )  # fmt: skip


def _decides(stage: Stage) -> Setting | None:
    """The setting that lets a loss decide."""
    for setting in stage.settings:
        section, _, last = setting.key.lower().replace("-", "_").rpartition(".")
        named = last in DECIDES and (last != "metric" or any(word in section for word in SECTIONS))
        if named and isinstance(setting.value, str) and "loss" in setting.value.lower():
            return setting
    return None


def _run(first: Sequence[Array], second: Sequence[Array], monitor: str) -> Run:
    files = made.grids("dataset", [made.tree(i) for i in range(40)])
    files |= made.grids("samples/step_99", first) | made.grids("samples/step_299", second)
    rising = np.concatenate([np.linspace(1, 0.3, 10), np.linspace(0.301, 0.32, 20)])
    return made.with_files(
        files, settings={"early_stopping.metric": monitor}, loss=np.linspace(1, 0.1, 300), val_loss=rising
    )


def sick() -> Iterator[Run]:
    """Dust where the held-out loss is lowest, trees later."""
    yield _run([made.scattered(i, 30) for i in range(8)], [made.tree(90 + i) for i in range(8)], "val/loss")


def healthy() -> Iterator[Run]:
    """Trees at both steps; dust where the loss is lowest, and the samples decide."""
    trees = [made.tree(90 + i) for i in range(8)]
    yield _run([made.tree(60 + i) for i in range(8)], trees, "val/loss")
    yield _run([made.scattered(i, 30) for i in range(8)], trees, "sample/score")
