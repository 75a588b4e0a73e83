"""PAR102 training-differs-from-use."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.evidence.samplers import UseConfig
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run

# Where these differ the model is used as another model.
GRAVE = frozenset("prediction_type parameterization beta_schedule noise_schedule schedule_type rescale_betas_zero_snr zero_snr v_prediction tokenizer vocab_size"
                  " num_classes image_mean image_std pixel_mean pixel_std norm_mean norm_std sample_rate n_mels channel_order".split())  # fmt: skip


@rule(
    "PAR102",
    "training-differs-from-use",
    level="critical",
    since="0.1",
    explains=("GEN101", "GEN103", "GEN104", "PAR101"),
)
def training_differs_from_use(config: UseConfig) -> Sick | None:
    """Training and inference are configured differently where they have to agree.

    ## What it checks
    Keys such as the noise schedule, the prediction type, normalisation, tokenizer, classes or sample rate that are
    set for training and, in another section or file, for inference, sampling or evaluation. Critical for those that
    make it another model, a warning for sizes.
    ## Why it matters
    Loss and weights are fine and every sample is wrong; nothing in the curves can show it.
    ## What to do
    Let both read one file. Until then use the values of training.
    ## When to ignore it
    A change that is meant, such as a higher resolution for evaluation.
    ## Known limits
    Only keys of the same name are compared; defaults in code are not seen.
    ## References
    - Failure reports: bghira/SimpleTuner#211, qile2000/LAMDA-TALENT#89.
    """
    if not config.conflicts:
        return None
    grave = [c for c in config.conflicts if c.key in GRAVE]
    first = (grave or list(config.conflicts))[0]
    shown = "; ".join(
        f"{c.key} is {str(c.train.value)[:60]} for training and {str(c.use.value)[:60]} for use"
        for c in (grave or config.conflicts)[:3]
    )
    return Sick(
        f"{len(config.conflicts)} of {config.compared} shared settings differ: {shown}",
        evidence=tuple(
            measure
            for c in config.conflicts[:4]
            for measure in (
                Measure(
                    f"{c.key} in training",
                    str(c.train.value)[:100],
                    None,
                    c.train.where,
                ),
                Measure(
                    f"{c.key} in use",
                    str(c.use.value)[:100],
                    None,
                    c.use.where,
                ),
            )
        ),
        innocent="the difference is meant, such as a higher resolution for evaluation",
        actions=(
            Action(
                f"Use the training's {first.key} ({str(first.train.value)[:60]}) at inference, and sample again from the same checkpoint",
                "minutes",
                "repair",
            ),
        ),
        level=None if grave else "warning",
    )


def sick() -> Iterator[Run]:
    """Another noise schedule for sampling; other classes at inference."""
    loss = examples.decay(200)
    yield examples.run(
        examples.stage(loss=loss, settings={"train.beta_schedule": "linear", "sampling.beta_schedule": "cosine"})
    )
    yield examples.run(examples.stage(loss=loss), settings={"training.image_size": 64, "inference.image_size": 128})


def healthy() -> Iterator[Run]:
    """The same values, written differently; keys that only one side has."""
    loss = examples.decay(200)
    yield examples.run(
        examples.stage(
            loss=loss,
            settings={"train.beta_schedule": "linear", "sampling.beta_schedule": "Linear", "sampling.steps": 50},
        )
    )
    yield examples.run(
        examples.stage(loss=loss), settings={"image_mean": [0.5, 0.5], "inference.image_mean": [0.5, 0.5]}
    )
