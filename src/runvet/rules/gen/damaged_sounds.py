"""GEN118 damaged-sounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.sounds import Sound, SoundSamples
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run
from runvet.statistics.two_samples import mann_whitney


@rule("GEN118", "damaged-sounds", level="warning", since="0.1")
def damaged_sounds(
    sounds: SoundSamples, *, clipped: float = 0.01, decibel: float = 20.0, p_value: float = 0.01
) -> Sick | Unsure | None:
    """Generated recordings are clipped, or far louder or softer than the data.

    ## What it checks
    Recordings of the last step, at least three. A warning where in the median one value in a hundred stands at the
    highest amplitude and the data clip ten times less; or where the loudness (root mean square) differs from the data's
    by 20 dB with p below 0.01 (Mann-Whitney).
    ## Why it matters
    Clipping and wrong loudness come from a scale that training had and the sampler lacks, and no spectral loss sees them.
    ## What to do
    Send a real recording through the code that writes samples; check normalisation and the type that is written.
    ## When to ignore it
    Music that is mastered so; whispered prompts.
    ## Known limits
    Silent recordings are told by `empty-samples`. Only the first minute of a recording is read.
    ## References
    - EBU R 128, Loudness normalisation and permitted maximum level of audio signals.
    """
    made_sounds, data = [s for s in sounds.sounds if not s.silent], [s for s in sounds.data if not s.silent]
    if len(made_sounds) < 3:
        return Unsure(f"{len(made_sounds)} recordings that hold something", "keep 8 recordings of each evaluation")
    cut, usual = (float(np.median([s.clipped for s in part])) if part else 0.0 for part in (made_sounds, data))
    if cut >= clipped and cut >= 10 * usual:
        return _report(sounds, f"{100 * cut:.2g} % of a recording's values stand at its highest amplitude, in the data {100 * usual:.2g} %",
                       (Measure("values at the highest amplitude, median", round(cut, 5), "share", made_sounds[0].name),
                        Measure("the same in the data", round(usual, 5), "share", f"{len(data)} recordings")))  # fmt: skip
    if len(data) < 5:
        return None
    own, real = _loudness(made_sounds), _loudness(data)
    apart = float(np.median(own) - np.median(real))
    p = mann_whitney(own, real)
    if abs(apart) < decibel or p > p_value:
        return None
    return _report(sounds, f"{apart:+.0f} dB from the data's loudness (n = {len(own)} and {len(real)})",
                   (Measure("loudness of samples, median", round(float(np.median(own)), 2), "dB of full scale", made_sounds[0].name),
                    Measure("loudness of the data, median", round(float(np.median(real)), 2), "dB of full scale", f"{len(real)} recordings"),
                    Measure("p of the Mann-Whitney test", float(f"{p:.2g}"))))  # fmt: skip


def _loudness(sounds: Sequence[Sound]) -> FloatArray:
    return np.array([20 * np.log10(max(s.rms, 1e-9)) for s in sounds])


def _report(sounds: SoundSamples, text: str, evidence: tuple[Measure, ...]) -> Sick:
    return Sick(
        f"recordings of {sounds.when}: {text}",
        evidence=evidence,
        since_step=sounds.since,
        innocent="the recordings were asked for as they are",
        actions=(Action("Send one real recording through the code that writes samples, and compare loudness and highest amplitude", "minutes", "repair"),),
    )  # fmt: skip


def _tone(seed: int, gain: float = 0.3) -> FloatArray:
    rng = np.random.default_rng(seed)
    t = np.arange(4000) / 8000
    wave = sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(80, 900) * t + rng.uniform(0, 6)) for _ in range(5))
    return np.asarray(gain * wave / 3 + 0.002 * rng.standard_normal(len(t)))


def _files(folder: str, waves: Sequence[FloatArray]) -> dict[str, dict[str, FloatArray]]:
    return {f"{folder}/{i}.npy": {"array": w} for i, w in enumerate(waves)}


def sick() -> Iterator[Run]:
    """Clipped tones; tones at a hundredth of the amplitude."""
    data = _files("data/wavs", [_tone(50 + i) for i in range(12)])
    yield made.with_files(data | _files("samples/step_9", [np.clip(_tone(i, 3.0), -1, 1) for i in range(4)]))
    yield made.with_files(data | _files("samples/step_9", [_tone(i, 0.003) for i in range(5)]))


def healthy() -> Iterator[Run]:
    """Tones as the data; half as loud; loud data that clip as much."""
    data = _files("data/wavs", [_tone(50 + i) for i in range(12)])
    yield made.with_files(data | _files("samples/step_9", [_tone(i) for i in range(4)]))
    yield made.with_files(data | _files("samples/step_9", [_tone(i, 0.15) for i in range(4)]))
    loud = _files("data/wavs", [np.clip(_tone(50 + i, 3.0), -1, 1) for i in range(12)])
    yield made.with_files(loud | _files("samples/step_9", [np.clip(_tone(i, 3.0), -1, 1) for i in range(4)]))
