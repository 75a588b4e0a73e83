"""GEN131 actions-do-nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import num
from runvet.run import Series, Stage

DELTA = re.compile(r"delta_psnr|psnr_delta")
TRUE = re.compile(r"(?:nmi|ari)_(?:true|gt|truth)")
COUNT = re.compile(r"^(?:rollout_)?(?:n_)?(?:count|rollouts|n)$")


@rule("GEN131", "actions-do-nothing", level="critical", since="0.1", explains=("LOSS122",))
def actions_do_nothing(
    stage: Stage,
    *,
    least: float = 0.1,  # dB that other actions must change
    weak: float = 0.5,  # dB below which they change little: a warning, unless it still grows
    agreement: float = 0.1,  # normalised mutual information with the true actions
    rollouts: float = 32,
    fewest: float = 3,  # evaluations
) -> Sick | Unsure | None:
    """The actions of a world model change nothing, or have nothing to do with what was done.

    ## What it checks
    The difference in PSNR between roll-outs by the inferred actions and by random ones (`rollout/delta_psnr`): a finding where
    the last half of at least three evaluations stays below 0.1 dB; a warning below 0.5 dB, unless it grew by half meanwhile. And the mutual information of latent actions
    with true ones (`latent_actions/nmi_true`), where the last half stays below 0.1, or below a tenth of what the pictures show
    (`latent_actions/nmi_ceiling`).
    ## Why it matters
    Such a model predicts well and cannot be steered. Entropy and number of the actions in use look healthy all the while.
    ## What to do
    Let the action encoder see the difference of both frames with local features before pooling, and let the dynamics get the
    action as a token of its own; collect data in which the past does not tell the action.
    ## When to ignore it
    Nobody can act in these data.
    ## Known limits
    Roll-outs of fewer than 32 windows are not judged where their number is logged (`rollout/count`).
    ## References
    - Bruce et al. 2024, Genie, arXiv 2402.15391: the change in PSNR as a measure of controllability.
    """
    unsure: Unsure | None = None
    seen = False
    for series in stage.series:
        said = "_".join(words(series.name))
        found: Sick | Unsure | None = None
        if DELTA.search(said):
            found = _unsteered(stage, series.finite(), least, weak, rollouts, fewest)
        elif TRUE.search(said) and "nmi" in said:
            found = _unrelated(stage, series.finite(), agreement, fewest)
        else:
            continue
        if isinstance(found, Sick):
            return found
        seen, unsure = True, unsure or found
    if not seen:
        return Unsure("no measure of what actions do", "log rollout/delta_psnr", applicable=False)
    return unsure


def _unsteered(
    stage: Stage, series: Series, least: float, weak: float, rollouts: float, fewest: float
) -> Sick | Unsure | None:
    if len(series) < fewest:
        return Unsure(f"{series.name} was measured {len(series)} times", "evaluate at least three times")
    place = series.name.rpartition("/")[0]
    counts = [
        s for s in stage.series if len(s) and s.name.rpartition("/")[0] == place and COUNT.match(words(s.name)[-1])
    ]
    if counts and counts[0].last < rollouts:
        return Unsure(f"{series.name} is over {counts[0].last:.0f} roll-outs", f"roll out {rollouts:.0f} windows")
    half = series.value[len(series) // 2 :]
    most = float(half.max())
    if most >= weak or (most >= least and half[-1] > 1.5 * half[0]):
        return None
    told = _told(
        series,
        f"{series.name} ends at {num(series.last)} dB (at most {num(most)} over its second half): other actions change"
        f" {'nothing' if most < least else 'little'} in what the model predicts",
        (Measure(series.name, float(f"{series.last:.5g}"), "dB", series.where(-1)),),
    )
    return told if most < least else replace(told, level="warning")


def _unrelated(stage: Stage, series: Series, agreement: float, fewest: float) -> Sick | Unsure | None:
    if len(series) < fewest:
        return Unsure(f"{series.name} was measured {len(series)} times", "evaluate at least three times")
    half = series.value[len(series) // 2 :]
    ceiling = next((s for s in stage.series if len(s) and re.search(r"nmi_ceiling", "_".join(words(s.name)))), None)
    most = min(ceiling.last, 1.0) if ceiling is not None else 1.0
    if float(half.max()) >= agreement * most or most < 2 * agreement:
        return None
    entropy = [s for s in stage.role("entropy") if len(s) and "action" in words(s.name)]
    if entropy and float(np.median(entropy[0].value[-max(1, len(entropy[0]) // 4) :])) < 0.3:
        return None  # one action is all there is: that is told as such
    used = f", although {entropy[0].name} is {num(entropy[0].last)}" if entropy and entropy[0].last > 0.5 else ""
    seen = f" of the {num(most)} that the pictures show" if ceiling is not None else ""
    return _told(
        series,
        f"{series.name} ends at {num(series.last)}{seen}: the latent actions have nothing to do with what was done{used}",
        (
            Measure(series.name, float(f"{series.last:.4g}"), None, series.where(-1)),
            *((Measure(ceiling.name, float(f"{most:.4g}"), None, ceiling.where(-1)),) if ceiling is not None else ()),
        ),
    )


def _told(series: Series, message: str, evidence: tuple[Measure, ...]) -> Sick:
    start = float(series.x()[len(series) // 2])
    return Sick(
        message,
        evidence,
        since(series, start),
        "nobody can act in these data, or actions leave no trace in the pictures",
        (
            Action("Look at what each action does to one frame, side by side", "minutes", "measure"),
            Action("Give the action encoder the difference of both frames, with local features before pooling", "a restart", "change"),
        ),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """Roll-outs that do not change, or hardly; actions unrelated to the true ones."""
    n = 400
    flat = np.array([0.0, 0.02, 0.03, 0.01, 0.03])
    yield examples.stage(train_loss=examples.decay(n), rollout__delta_psnr=flat, rollout__count=np.full(5, 64))
    yield examples.stage(train_loss=examples.decay(n), rollout__delta_psnr=np.array([0.05, 0.21, 0.36, 0.35, 0.39]))
    yield examples.stage(
        train_loss=examples.decay(n),
        latent_actions__nmi_true=np.array([0.0, 0.004, 0.005, 0.005]),
        latent_actions__nmi_ceiling=np.full(4, 0.66),
        action_entropy=examples.level(n, 1.9),
    )


def healthy() -> Iterator[Stage]:
    """Steered; actions found; pictures that show nothing."""
    n = 400
    yield examples.stage(train_loss=examples.decay(n), rollout__delta_psnr=np.array([0.0, 0.05, 0.6, 1.4]))
    yield examples.stage(train_loss=examples.decay(n), rollout__delta_psnr=np.array([0.0, 0.02, 0.12, 0.4]))
    yield examples.stage(train_loss=examples.decay(n), latent_actions__nmi_true=np.array([0.01, 0.3, 0.5, 0.6]))
    yield examples.stage(
        train_loss=examples.decay(n), latent_actions__nmi_true=np.zeros(4), latent_actions__nmi_ceiling=np.full(4, 0.05)
    )
