"""How many prototypes or candidates a self-supervised loss chooses among: a collapsed model stays at their logarithm."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runvet.evidence.alphabets import Alphabet, told_in, whole
from runvet.evidence.settings import name_of
from runvet.run import Setting, Stage

# Words that stand in a method's, a loss's or a folder's name.
DISTILLED = re.compile(r"(?<![a-z])(?:dino|ibot|esvit|msn|swav|deepcluster|sela|odin|capi)(?:v?\d)?(?![a-z])")
CONTRASTIVE = re.compile(
    r"info_?nce|nt_?xent|contrastive|multiple_?negatives|in_batch_neg|bi_?encoder|(?:open_?|image_text_)clip|clip_?loss"
    r"|(?<![a-z])(?:sim_?clr|moco|simcse|supcon|cpc|itc|ita|dpr|mnrl|nce)(?:v?\d)?(?:_?loss)?(?![a-z])"
)
DINO = re.compile(r"(?<![a-z])dino(?:v?\d)?(?![a-z])")
CLIP = re.compile(r"(?<![a-z])clip(?![a-z])")  # a method in a setting, a clipped gradient in a metric's name
PROTOTYPES = frozenset(
    "out_dim num_prototypes nmb_prototypes n_prototypes head_n_prototypes dino_head_n_prototypes ibot_head_n_prototypes"
    " prototypes dino_out_dim ibot_out_dim head_out_dim projection_out_dim patch_out_dim dino_n_prototypes".split()
)
QUEUES = frozenset(
    "moco_k queue_size queue_len queue_length memory_size memory_bank_size num_negatives n_negatives nce_k".split()
)
BATCHES = (
    "global_batch_size", "total_batch_size", "effective_batch_size", "batch_size", "per_device_train_batch_size", "train_batch_size", "batch_size_per_gpu",
    "batch_size_per_device", "train_micro_batch_size_per_gpu", "micro_batch_size", "per_gpu_batch_size", "bs", "batchsize", "batch",
)  # fmt: skip
WORLDS = (
    "world_size",
    "num_gpus",
    "n_gpus",
    "ngpus",
    "gpus",
    "devices",
    "num_devices",
    "nproc_per_node",
    "num_processes",
)
NAMING = re.compile(r"method|loss|objective|algo|framework|model|arch|task|name|approach|pretext|ssl|criterion")
CONTINUED = re.compile(
    r"path|ckpt|checkpoint|pretrained|init|resume|teacher_model|name_or"
)  # what a run merely starts from
LEAST_DIM = 512  # a plain `out_dim` below is the width of some layer
DINO_HEAD = 65_536  # unless it is told


def _named(stage: Stage, pattern: re.Pattern[str], *, in_names: bool = True) -> bool:
    """Whether a setting that names the method says so, or (`in_names`) a metric's or the run's own name."""
    if in_names and any(pattern.search(s.name.lower()) for s in stage.series):
        return True
    if in_names and (pattern.search(stage.run.lower()) or pattern.search(stage.name.lower())):
        return True
    return any(
        isinstance(s.value, str) and NAMING.search(s.key.lower()) and not CONTINUED.search(s.key.lower())
        and pattern.search(s.value.lower())
        for s in stage.settings
    )  # fmt: skip


def alternatives(stage: Stage) -> Iterator[Alphabet]:
    """The prototypes of a self-distilled model, the candidates of a contrastive one; nothing for other trainings."""
    yield from _prototypes(stage)
    if _named(stage, CONTRASTIVE) or _named(stage, CLIP, in_names=False):
        yield from _candidates(stage)


def _prototypes(stage: Stage) -> Iterator[Alphabet]:
    named, found = _named(stage, DISTILLED), False
    for setting in stage.settings:
        key, size = name_of(setting), whole(setting.value)
        if key not in PROTOTYPES or size is None or size > 5_000_000:
            continue
        if named or "prototypes" in key or (size >= LEAST_DIM and stage.setting("momentum_teacher", "teacher_temp")):
            found = True
            yield Alphabet(size, "prototypes", told_in(setting))
    if named and not found and _named(stage, DINO):
        yield Alphabet(DINO_HEAD, "prototypes", "the usual head of DINO")


def _candidates(stage: Stage) -> Iterator[Alphabet]:
    for setting in stage.settings:
        size = whole(setting.value)
        if name_of(setting) in QUEUES and size is not None and size < 5_000_000:
            yield Alphabet(size + 1, "candidates", told_in(setting))
    batch = stage.setting(*BATCHES)
    size = whole(batch.value) if batch is not None else None
    if batch is None or size is None or size > 1_000_000:
        return
    worlds: list[tuple[int, tuple[Setting, ...]]] = [(1, ())]
    world = stage.setting(*WORLDS)
    count = whole(world.value) if world is not None else None
    if world is not None and count and count <= 4096:
        worlds.append((count, (world,)))
    for times, settings in worlds:
        source = told_in(batch, *settings)
        yield Alphabet(times * size, "candidates", source)
        yield Alphabet(2 * times * size - 1, "candidates", f"two views of each, {source}")
