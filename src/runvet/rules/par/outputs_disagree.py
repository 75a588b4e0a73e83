"""PAR101 outputs-disagree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.parity import Output, Parities, worst
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run


@rule("PAR101", "outputs-disagree", level="critical", since="0.1")
def outputs_disagree(parities: Parities, *, grave: float = 0.05) -> Iterator[Sick]:
    """Training and inference give different outputs for the same inputs.

    ## What it checks
    Pairs of files with the same names and shapes, one of training and one of inference (or of two formats of one
    model): for each output the median and the 99.9 % quantile of the difference, in standard deviations of the
    output. Beyond 0.005 (0.05 for half precision) it is a warning, from 0.05 on critical. The kind of difference is
    told: another scale, an offset, or unrelated values.
    ## Why it matters
    What is measured in training is then not what is used: preprocessing, weights or mode differ.
    ## What to do
    Compare stage by stage from the input on: statistics of the input, keys used, weights loaded, eval mode, precision.
    ## When to ignore it
    The two files hold different inputs, or outputs that are drawn at random.
    ## Known limits
    Files are paired by their names; nothing in them says that the inputs are the same.
    ## References
    - Failure reports: NASA-IMPACT/deepsensor#28, SimpleTuner#211.
    """
    for parity in parities.all:
        bad = worst(parity)
        if not bad:
            continue
        names = ", ".join(f"{o.name} (median {o.typical:.2g} σ, {_kind(o)})" for o in bad[:3])
        good = [o.name for o in parity.outputs if o not in bad]
        yield Sick(
            f"training and inference disagree on {len(bad)} of {len(parity.outputs)} outputs for the same inputs: {names}"
            + (f"; {', '.join(good[:3])} agree" if good else ""),
            evidence=tuple(
                measure
                for o in bad[:4]
                for measure in (
                    Measure(f"{o.name}: median difference", float(f"{o.typical:.3g}"), "standard deviations", parity.second),
                    Measure(f"{o.name}: largest difference", float(f"{o.largest_raw:.4g}"), None, f"tolerance {o.tolerance * o.scale:.2g} typically"),
                )
            ),
            innocent="the two files hold different inputs, or outputs drawn at random",
            actions=(
                Action(f"Run the same batch through both paths and compare stage by stage from the input on: normalisation, keys used, weights loaded,"
                       f" eval mode; {bad[0].name} differs most", "minutes", "repair"),
            ),
            level=None if max(o.typical for o in bad) >= grave else "warning",
        )  # fmt: skip


def _kind(output: Output) -> str:
    if output.correlation > 0.99:
        if abs(output.ratio - 1) > 0.02:
            return f"{output.ratio:.3g} times the scale"
        return f"offset by {output.offset:.2g} σ" if abs(output.offset) > 0.5 * output.typical else "small differences"
    return f"correlation {output.correlation:.2f}"


def sick() -> Iterator[Run]:
    """Another scale, unrelated values, one output of two."""
    depth, pose = made.truth(64, 32, scale=9.0, offset=30.0), made.truth(64, 3)
    yield made.with_files(
        {
            "parity/train_preds.npz": {"depth": depth, "pose": pose},
            "parity/inference_preds.npz": {"depth": depth * 1.6, "pose": pose + 1e-6},
        }
    )
    yield made.with_files(
        {"eval/train/outputs.npz": {"pose": pose}, "eval/inference/outputs.npz": {"pose": made.truth(64, 3, seed=5)}}
    )


def healthy() -> Iterator[Run]:
    """Rounding of single and of half precision, single flipped elements."""
    depth = made.truth(64, 32, scale=9.0, offset=30.0)
    rng = np.random.default_rng(0)
    near = depth + 1e-5 * rng.standard_normal(depth.shape)
    yield made.with_files({"parity/train_preds.npz": {"depth": depth}, "parity/inference_preds.npz": {"depth": near}})
    half = depth.astype(np.float16)
    yield made.with_files({"parity/train_preds.npz": {"depth": depth}, "parity/inference_preds.npz": {"depth": half}})
