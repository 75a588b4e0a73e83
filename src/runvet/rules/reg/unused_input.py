"""REG130 unused-input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.ablations import Ablation, Ablations
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num
from runvet.run import FloatArray, Run


@rule("REG130", "unused-input", level="critical", since="0.1")
def unused_input(ablations: Ablations, *, little: float = 0.02, possible: float = 0.1, sure: float = 3.0, learnt: float = 0.9) -> Sick | None:  # fmt: skip
    """An input of the model changes nothing: predictions are as good with that of another sample.

    ## What it checks
    Saved predictions that were made again with one input shuffled among samples or taken away (`shuffled_images`,
    `without_lidar` beside `pred` and `gt`), where the model has learnt something. Critical where not a single number
    changes: the input never reaches the output. A warning where the error rises by less than 2 %, and by less than
    10 % even with three standard errors of the paired differences added.
    ## Why it matters
    A sensor that is blank, or paired with the wrong samples, leaves loss curves that look healthy: the model does
    what the rest of its inputs allow, and everything that is said about that sensor is untrue.
    ## What to do
    Look at a batch as the model gets it: is the input constant, of the right sample, at the right scale?
    ## When to ignore it
    The input is blank on purpose (an ablation), or tells nothing that others do not tell.
    ## Known limits
    Needs such predictions: one more pass over the validation set for each input.
    ## References
    - Permutation importance: Breiman 2001, doi 10.1023/A:1010933404324; Fisher, Rudin, Dominici 2019, arXiv 1801.01489.
    """
    unused = [a for a in ablations.all if a.error < learnt * a.constant and _unused(a, little, possible, sure)]
    if not unused:
        return None
    return _report(unused, [a for a in ablations.all if a.where == unused[0].where and a not in unused])


def _unused(one: Ablation, little: float, possible: float, sure: float) -> bool:
    if one.same:
        return True
    spread = float(one.difference.std()) / np.sqrt(len(one.difference))
    return one.without < (1 + little) * one.error and one.without - one.error + sure * spread < possible * one.error


def _report(unused: list[Ablation], used: list[Ablation]) -> Sick:
    dead = [a for a in unused if a.same]
    first = (dead or unused)[0]
    names = ", ".join(a.input for a in dead or unused)
    how = "not one predicted number changes" if dead else f"the error goes from {num(first.error)} to {num(first.without)}"  # fmt: skip
    most = max(used, key=lambda a: a.without, default=None)
    beside = f" (with {most.input} shuffled it becomes {num(most.without)})" if most else ""
    return Sick(
        f"the model does not use {names}: with that of other samples, {how}{beside}",
        (
            *(Measure(f"error with {a.input} of other samples", float(f"{a.without:.5g}"), None, a.where) for a in (*unused, *used)),
            Measure("error as it is", float(f"{first.error:.5g}"), None, f"{len(first.difference)} samples"),
        ),
        innocent="the input is blank on purpose, or tells nothing that others do not tell",
        actions=(
            Action(f"Look at {names} in a batch as the model gets it: constant, of another sample, or at another scale? Then train again", "minutes", "repair"),
        ),
        level=None if dead else "warning",
    )  # fmt: skip


def _arrays(n: int = 300) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Truth (n, 9), good predictions, and those with one input shuffled."""
    true = made.truth(n, 9, scale=5.0)
    noise = made.truth(n, 9, scale=0.5, seed=1)
    return true, true + noise, 0.7 * true + 3 * noise


def _run(**arrays: Any) -> Run:
    return made.with_files({"predictions.npz": arrays})


def sick() -> Iterator[Run]:
    """An input that never reaches the output; one that brings noise only."""
    true, pred, worse = _arrays()
    yield _run(pred=pred, gt=true, shuffled_vehicle=worse, shuffled_roadside=pred)
    other = true + made.truth(300, 9, scale=0.5, seed=2)
    yield _run(pred=pred, gt=true, without_lidar=other)


def healthy() -> Iterator[Run]:
    """Inputs that are all used; one that helps by a tenth."""
    true, pred, worse = _arrays()
    yield _run(pred=pred, gt=true, shuffled_vehicle=worse, shuffled_text=0.9 * worse)
    yield _run(pred=pred, gt=true, shuffled_map=true + made.truth(300, 9, scale=0.56, seed=2))
