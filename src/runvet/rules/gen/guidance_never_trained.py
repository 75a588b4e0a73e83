"""GEN107 guidance-never-trained."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.evidence.samplers import Guidance
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Stage


@rule("GEN107", "guidance-never-trained", level="warning", since="0.1")
def guidance_never_trained(guidance: Guidance) -> Sick | None:
    """Samples are drawn with classifier-free guidance that the model was never trained for.

    ## What it checks
    The configuration: a guidance scale above 1 for sampling, and a probability of dropping the condition in training
    that is 0.
    ## Why it matters
    Guidance subtracts the model's answer without a condition. A model that has never seen "no condition" answers
    nonsense there, and guidance pushes every sample away from it.
    ## What to do
    Train with the condition dropped in about one batch in ten, or sample with a scale of 1.
    ## When to ignore it
    Fine-tuning of a model that was trained with dropped conditions before, or a distilled one.
    ## Known limits
    A configuration that does not name the probability is not judged.
    ## References
    - Ho and Salimans 2022, Classifier-free diffusion guidance, arXiv 2207.12598.
    """
    if guidance.scale <= 1 or guidance.drop != 0:
        return None
    return Sick(
        f"sampling uses a guidance scale of {guidance.scale:g} ({guidance.scale_from}), and training never drops the condition ({guidance.drop_from} = 0)",
        evidence=(
            Measure("guidance scale", guidance.scale, None, guidance.scale_from),
            Measure("probability of no condition", 0, None, guidance.drop_from),
        ),
        innocent="the weights it started from were trained with dropped conditions",
        actions=(
            Action(
                "Sample with a guidance scale of 1, or train with the condition dropped in one batch in ten",
                "config",
                "change",
            ),
        ),
    )


def sick() -> Iterator[Stage]:
    """A scale of 4 with a probability of 0."""
    yield examples.stage(
        loss=examples.decay(300), settings={"sampling.guidance_scale": 4.0, "model.cond_drop_prob": 0.0}
    )


def healthy() -> Iterator[Stage]:
    """Trained for; not used."""
    yield examples.stage(
        loss=examples.decay(300), settings={"sampling.guidance_scale": 4.0, "model.cond_drop_prob": 0.1}
    )
    yield examples.stage(loss=examples.decay(300), settings={"sampling.cfg_scale": 1.0, "model.uncond_prob": 0.0})
