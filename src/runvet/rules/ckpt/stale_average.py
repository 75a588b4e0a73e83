"""CKPT110 stale-average."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import words
from runvet.evidence.checkpoints import Checkpoints, Family, broken
from runvet.evidence.weights import bare, is_buffer, is_float, listed, moved
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import table, told, unread
from runvet.run import Run, Setting, Stage

AVERAGES = frozenset("ema shadow averaged average swa polyak teacher target momentum".split())
SETTINGS = ("use_ema", "ema", "model_ema", "enable_ema", "with_ema", "use_model_ema")
# Vector quantisation has averages of its own, of the codes; a setting `ema` then means those.
CODES = frozenset("codebook vq quantize quantizer quantizers codes cluster".split())


@rule("CKPT110", "stale-average", level="warning", since="0.1")
def stale_average(checkpoints: Checkpoints, stage: Stage) -> Sick | Unsure | None:
    """The running average of the weights (EMA) is missing, equal to the weights, or does not move.

    ## What it checks
    In consecutive saves of the same name, while the weights themselves move: averages that are equal bit by bit to
    the weights in the newest saves, or that are the same as in the saves before. And, where the configuration asks for
    an average, whether any checkpoint holds one.
    ## Why it matters
    Samples and validation use the average: they show another model than the one that is trained, and a restart
    begins with a wrong one.
    ## What to do
    Look whether the average is updated after every optimizer step, from the right parameters, and saved after that.
    ## When to ignore it
    Averaging begins at a later step; the first saves then hold plain copies.
    ## Known limits
    Averages kept under other names than `ema`, `shadow`, `swa`, `averaged`, `teacher` or `target` are not known.
    ## References
    - Megvii-BaseDetection/YOLOX#1318, Vchitect/Latte#55, huggingface/diffusers#4931.
    """
    whole = [s for s in checkpoints.saves if not broken(s)]
    if not any(_has_average(s) for s in whole):
        asked = _asked(stage)
        return _missing(asked, whole) if asked is not None and len(whole) > 1 else None
    if checkpoints.unscanned:
        return unread(checkpoints)
    for family in checkpoints.families:
        found = _equal(family) or _still(family)
        if found is not None:
            return found
    return None


def _has_average(save: Checkpoint) -> bool:
    return any(t.role == "ema" or words(t.name) & AVERAGES for t in save.tensors) or bool(
        words(save.path.rpartition("/")[2]) & AVERAGES
    )


def _asked(stage: Stage) -> Setting | None:
    """The setting that asks for an average of the weights; not where codes of a quantiser may be meant."""
    setting = stage.setting(*SETTINGS)
    if setting is None or setting.value is not True or words(setting.key) & CODES:
        return None
    return None if any(words(s.key) & CODES for s in stage.settings) else setting


def _missing(asked: Setting, whole: list[Checkpoint]) -> Sick | None:
    if not all(any(t.role == "model" for t in s.tensors) for s in whole):
        return None
    return Sick(
        f"{asked.key} is true in {asked.source}, and none of {len(whole)} checkpoints holds averaged weights",
        evidence=(
            Measure(asked.key, "true", None, asked.source),
            *table(whole[-3:], "averaged tensors", lambda _: 0, "tensors"),
        ),
        innocent="the average is kept in another folder, or the saved weights are the average already",
        actions=(Action("Save the averaged weights and their update count with the weights", "a few lines", "change"),),
    )


def _pairs(save: Checkpoint) -> dict[str, tuple[str, str]]:
    """Digests of weight and average by the weight's name, where shapes and types are the same."""
    values = save.values
    if values is None:
        return {}
    own = [
        (i, t)
        for i, t in enumerate(save.tensors)
        if is_float(t) and t.elements and not is_buffer(t.name) and values.scanned[i]
    ]
    model = {bare(t.name): i for i, t in own if t.role == "model"}
    averages = {bare(t.name): i for i, t in own if t.role == "ema"}
    if not model:  # a file named after its average, with both in it
        inner = {i: bool(words(t.name.partition(".")[0]) & AVERAGES) for i, t in own if t.role == "ema"}
        model = {bare(t.name): i for i, t in own if i in inner and not inner[i]}
        averages = {bare(t.name): i for i, t in own if inner.get(i)}
    alike = [
        n for n in model.keys() & averages.keys() if save.tensors[model[n]].shape == save.tensors[averages[n]].shape
    ]
    return {
        n: (values.digest[model[n]], values.digest[averages[n]])
        for n in alike
        if save.tensors[model[n]].dtype == save.tensors[averages[n]].dtype
    }


def _moving(family: Family) -> list[tuple[Checkpoint, Checkpoint]]:
    """Pairs of saves between which the weights moved."""
    return [(a, b) for a, b in family.pairs() if moved(a, b)[0]]


def _equal(family: Family) -> Sick | None:
    moving = _moving(family)
    same = [(a, b) for a, b in moving if _is_copy(a) and _is_copy(b)]
    if not same or same[-1] != moving[-1]:
        return None
    last = same[-1][1]
    pairs = _pairs(last)
    return Sick(
        f"the average is equal bit by bit to the weights in {told(same[-1][0])} and {told(last)} ({len(pairs)} tensors), while the weights move",
        evidence=(
            Measure("averaged tensors equal to the weights", len(pairs), f"of {len(pairs)}", last.path),
            Measure("intervals in which both are copies", len(same), f"of {len(moving)}"),
            Measure("tensors compared", listed(pairs)),
        ),
        since_step=same[0][0].step,
        innocent="averaging begins at a later step, and until then the average is a plain copy",
        actions=(
            Action(
                "Look whether the average is updated after every optimizer step, or overwritten by the weights before it is saved",
                "minutes",
                "change",
            ),
        ),
    )


def _is_copy(save: Checkpoint) -> bool:
    pairs = _pairs(save)
    return len(pairs) > 1 and all(a == b for a, b in pairs.values())


def _still(family: Family) -> Sick | None:
    moving = _moving(family)
    still = [(a, b) for a, b in moving if _averages(a) and _averages(a) == _averages(b)]
    if len(still) < 2 or still[-2:] != moving[-2:]:
        return None
    a, b = still[0][0], still[-1][1]
    return Sick(
        f"the average is the same in {told(a)} and {told(b)} ({len(_averages(b))} tensors), while the weights move",
        evidence=(
            Measure("averaged tensors that did not move", len(_averages(b)), f"of {len(_averages(b))}", b.path),
            Measure("intervals without a change", len(still), f"of {len(moving)}"),
        ),
        since_step=still[0][1].step,
        innocent="averaging begins at a later step",
        actions=(
            Action(
                "Look whether the average is updated after every optimizer step, from the parameters that are trained",
                "minutes",
                "change",
            ),
        ),
    )


def _averages(save: Checkpoint) -> dict[str, str]:
    values = save.values
    if values is None:
        return {}
    return {
        t.name: values.digest[i]
        for i, t in enumerate(save.tensors)
        if t.role == "ema" and is_float(t) and t.elements > 1 and not is_buffer(t.name)
    }


Arrays = dict[str, npt.NDArray[np.float32]]


def _averaged(step: int, average: Arrays) -> Checkpoint:
    return examples.checkpoint(
        step, examples.trained(step) | {n.replace("model.", "ema."): a for n, a in average.items()}
    )


def sick() -> Iterator[Run]:
    """Missing; equal to the weights; never moving."""
    stage = examples.stage(loss=examples.decay(1000), settings={"train.use_ema": True})
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    yield examples.run(stage, checkpoints=[_averaged(s, examples.trained(s)) for s in (200, 400, 600)])
    yield examples.run(stage, checkpoints=[_averaged(s, examples.trained(0)) for s in (200, 400, 600)])


def healthy() -> Iterator[Run]:
    """An average that lags behind; one that is a copy at the start; none asked for."""
    stage = examples.stage(loss=examples.decay(1000), settings={"use_ema": True})
    lagging = [_averaged(s, examples.trained(s - 50)) for s in (200, 400, 600)]
    yield examples.run(stage, checkpoints=lagging)
    yield examples.run(stage, checkpoints=[_averaged(100, examples.trained(100)), *lagging])
    yield examples.run(
        examples.stage(loss=examples.decay(1000), settings={"use_ema": False}),
        checkpoints=examples.training((200, 400)),
    )
