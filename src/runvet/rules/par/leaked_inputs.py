"""PAR105 leaked-inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.leaks import Leak, Leaks
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run


@rule("PAR105", "leaked-inputs", level="critical", since="0.1", explains=("PAR101",))
def leaked_inputs(leaks: Leaks) -> Iterator[Sick]:
    """The answer is among the inputs: truth as a source at evaluation, or targets in the data's own inputs.

    ## What it checks
    Evaluation summaries and settings that take an input from the truth (`pose_source: gt`, `use_gt_depth: true`);
    saved batches of use that hold depth, poses, masks or paths which those of training do not; data files in which
    columns of the target stand among the inputs, or whose texts hold values of their own target (two numbers of two
    decimals each, in more than 5 % of the samples). Critical where arrays or texts prove it, else a warning.
    ## Why it matters
    Such a number is the best of all and means nothing: an evaluation with true poses and depth told 3 cm where the
    pictures alone gave metres.
    ## What to do
    Evaluate again with the inputs that use will have, and print both numbers beside each other.
    ## When to ignore it
    An ablation that says so; a model that is meant to get poses or depth.
    ## Known limits
    Names decide what is truth. An input that merely depends on the target is not seen.
    ## References
    - Kaufman et al. 2012, doi 10.1145/2382577.2382579 (leakage).
    """
    for kind in dict.fromkeys(leak.kind for leak in leaks.found):
        mine = [leak for leak in leaks.found if leak.kind == kind]
        yield _report(mine)


def _report(found: list[Leak]) -> Sick:
    first = found[0]
    more = f" ({len(found)} places)" if len(found) > 1 else ""
    return Sick(
        f"{first.what}{more}",
        tuple(Measure(leak.measure, leak.value, None, leak.where) for leak in found[:4]),
        innocent="an ablation, or a model that is meant to get this input",
        actions=(
            Action(
                f"Evaluate again without it before {first.where} is used, and print both numbers", "minutes", "measure"
            )
            if first.kind in ("source", "keys")
            else Action(f"Take the target out of the inputs in {first.where}, and train again", "a restart", "repair"),
        ),
        level=None if first.sure else "warning",
    )


def sick() -> Iterator[Run]:
    """True poses at evaluation, keys that training never had, a target among features, an end point in the prompt."""
    yield made.with_files({"eval/val_summary.json": {"checkpoint": "best.pt", "pose_source": "gt", "rmse": 0.03}})
    x, pose = made.truth(40, 64), made.truth(40, 12, seed=1)
    yield made.with_files(
        {
            "train_batch.npz": {"img": x, "intrinsics": pose},
            "infer_batch.npz": {"img": x, "intrinsics": pose, "depth": x},
        }
    )
    yield made.with_files({"data/train.npz": {"inputs": np.hstack([x, pose]), "targets": pose}})
    paths = np.cumsum(np.random.default_rng(0).normal(1, 0.4, (60, 9, 2)), axis=1).round(3)
    told = [{"prompt": f"drive to ({p[-1, 0]:.3f}, {p[-1, 1]:.3f})", "trajectory": p.tolist()} for p in paths]
    yield made.with_files({"data/train.json": told})


def healthy() -> Iterator[Run]:
    """Predicted poses, equal keys, features apart from targets, a prompt with the present position."""
    yield made.with_files({"eval/val_summary.json": {"checkpoint": "best.pt", "pose_source": "pred", "rmse": 7.6}})
    x, pose = made.truth(40, 64), made.truth(40, 12, seed=1)
    yield made.with_files(
        {"train_batch.npz": {"img": x, "gt_depth": x}, "infer_batch.npz": {"img": x, "gt_depth": x, "meta": pose}}
    )
    yield made.with_files({"data/train.npz": {"inputs": x, "targets": pose}})
    paths = np.cumsum(np.random.default_rng(0).normal(1, 0.4, (60, 9, 2)), axis=1).round(3)
    told = [{"prompt": f"at ({p[0, 0]:.3f}, {p[0, 1]:.3f}), 13.20 m/s", "trajectory": p.tolist()} for p in paths]
    yield made.with_files({"data/train.json": told})
