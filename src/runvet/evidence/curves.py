"""The curves of a stage by their roles. `lead` is the one to judge; the others are told beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from runvet.evidence import Missing, provides
from runvet.run import Series, Stage
from runvet.statistics.basics import usable


@dataclass(frozen=True, slots=True)
class Curves:
    """Series of one role, the most telling first; never empty, every series has at least one point."""

    series: tuple[Series, ...]

    @property
    def lead(self) -> Series:
        """The series that stands for the role."""
        return self.series[0]


SUMMARY = 3  # a curve with fewer points than one in so many is a summary of another


C = TypeVar("C", bound=Curves)


class TrainLoss(Curves):
    """Training losses: totals, the longest first; where a run logs only terms, the terms."""

    @property
    def is_total(self) -> bool:
        """Whether `lead` is a total, not one term of it."""
        return self.lead.role == "train_loss"

    @property
    def totals(self) -> tuple[Series, ...]:
        """The totals that are surely of training: beside those that say so, a bare `loss` may be of an evaluation.

        Not beside a mere summary (`train_loss` at the end of a run or of an epoch): that is no reason to pass over the
        loss of every step.
        """
        totals = tuple(s for s in self.series if s.role == "train_loss")
        told = tuple(s for s in totals if s.split == "train")
        longest = max((s.total for s in totals), default=0)
        return told if max((s.total for s in told), default=0) * SUMMARY >= longest else totals


class LossTerms(Curves):
    """Parts of the training loss (`box_loss`, `loss_kl`), KL and adversarial terms included."""


class ValLoss(Curves):
    """Losses on held-out data: validation first, then test."""


class ValMetrics(Curves):
    """Metrics of held-out data with a known better direction, errors included, losses and perplexities not."""


class TrainMetrics(Curves):
    """Metrics of training data with a known better direction (training accuracy)."""


class LearningRate(Curves):
    """Learning rates, one series a parameter group."""


class GradNorm(Curves):
    """Gradient norms, total first."""


class StepTime(Curves):
    """Seconds (or any constant unit) per step, as the run logged it."""


class DataTime(Curves):
    """Time a step waited for data, in the unit of `StepTime`."""


class Throughput(Curves):
    """Steps, samples or tokens per second, as the run logged it."""


class Memory(Curves):
    """Memory in use, any unit."""


class GpuUtilisation(Curves):
    """Share of time the accelerator was busy, in per cent or 0..1."""


class Reward(Curves):
    """Rewards or returns of reinforcement learning: higher is better."""


class Divergence(Curves):
    """KL terms: of a latent posterior, or between policies."""


class Entropy(Curves):
    """Entropies of a policy, of actions or of codes, in nats unless the run says otherwise."""


class CodebookUsage(Curves):
    """How many codes or actions are in use: counts, shares or perplexities."""


class AdversarialLoss(Curves):
    """Discriminator losses first, then generator losses."""


class LossScale(Curves):
    """Scale of a gradient scaler."""


def measured(series: Series) -> Series:
    """The points with a value that a metric can have: finite, and below 1e100 in size, so that nothing overflows."""
    mask = usable(series.value)
    return series if mask.all() else series.pick(mask)


def _longest_first(series: tuple[Series, ...]) -> tuple[Series, ...]:
    return tuple(sorted((s for s in series if len(s)), key=lambda s: -s.total))


def _evaluations(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """Longest first, without the batches of an evaluation where its mean is logged, too (`loss: 0.31 (0.29)`)."""
    means = {s.name for s in series if s.name.endswith(" (mean)")}
    return _longest_first(tuple(s for s in series if f"{s.name} (mean)" not in means))


@provides
def train_loss(stage: Stage) -> TrainLoss | Missing:
    found = _longest_first(stage.role("train_loss")) or _longest_first(stage.role("loss_term", "generator_loss"))
    if not found and stage.role("train_perplexity", "perplexity"):
        found = _longest_first(stage.role("train_perplexity", "perplexity"))
    return TrainLoss(found) if found else Missing("no training loss", "log loss at every step")


@provides
def loss_terms(stage: Stage) -> LossTerms | Missing:
    found = tuple(s for s in stage.role("loss_term", "kl", "discriminator_loss", "generator_loss") if len(s))
    return LossTerms(found) if found else Missing("no parts of the loss", "log each term of the loss", applicable=False)


@provides
def val_loss(stage: Stage) -> ValLoss | Missing:
    found = _evaluations(stage.role("val_loss")) + _evaluations(stage.role("test_loss"))
    found = found or _longest_first(stage.role("val_perplexity", "test_perplexity"))
    return ValLoss(found) if found else Missing("no validation loss", "log val/loss at every evaluation")


@provides
def val_metrics(stage: Stage) -> ValMetrics | Missing:
    kinds = ("accuracy", "metric", "error", "success_rate")
    named = tuple(s for kind in kinds for split in ("val", "test") for s in stage.role(f"{split}_{kind}") if len(s))
    # A metric without a split is an evaluation where it is logged more rarely than the loss.
    densest = max((s.total for s in stage.role("train_loss", "loss_term")), default=0)
    bare = tuple(s for s in stage.role(*kinds) if 0 < s.total * 2 <= densest or (len(s) and not densest))
    found = named + bare
    return ValMetrics(found) if found else Missing("no validation metric", "log val/accuracy (or the metric you want)")


@provides
def train_metrics(stage: Stage) -> TrainMetrics | Missing:
    kinds = ("accuracy", "metric", "error", "success_rate")
    densest = max((s.total for s in stage.role("train_loss", "loss_term")), default=0)
    named = tuple(s for kind in kinds for s in stage.role(f"train_{kind}") if len(s))
    bare = tuple(s for s in stage.role(*kinds) if densest and s.total * 2 > densest)
    found = named + bare
    return (
        TrainMetrics(found)
        if found
        else Missing("no training metric", "log train/accuracy (or your metric)", applicable=False)
    )


def _of(kind: type[C], stage: Stage, role: str, why: str, unlock: str = "", *, applicable: bool = True) -> C | Missing:
    found = _longest_first(stage.role(role))
    return kind(found) if found else Missing(why, unlock, applicable)


@provides
def learning_rate(stage: Stage) -> LearningRate | Missing:
    return _of(LearningRate, stage, "lr", "no learning rate", "log lr at every step")


@provides
def grad_norm(stage: Stage) -> GradNorm | Missing:
    return _of(GradNorm, stage, "grad_norm", "no gradient norm", "log grad_norm (the value clip_grad_norm_ returns)")


@provides
def step_time(stage: Stage) -> StepTime | Missing:
    return _of(StepTime, stage, "step_time", "no time per step", "log step_time in seconds")


@provides
def data_time(stage: Stage) -> DataTime | Missing:
    return _of(DataTime, stage, "data_time", "no data loading time", "log data_time beside step_time")


@provides
def throughput(stage: Stage) -> Throughput | Missing:
    return _of(Throughput, stage, "throughput", "no throughput", "log samples_per_second")


@provides
def memory(stage: Stage) -> Memory | Missing:
    return _of(Memory, stage, "memory", "no memory use", "log torch.cuda.memory_allocated() and the process's RSS")


@provides
def gpu_utilisation(stage: Stage) -> GpuUtilisation | Missing:
    return _of(GpuUtilisation, stage, "gpu_utilisation", "no accelerator utilisation", "log gpu_util")


@provides
def reward(stage: Stage) -> Reward | Missing:
    return _of(Reward, stage, "reward", "no reward", applicable=False)


@provides
def divergence(stage: Stage) -> Divergence | Missing:
    return _of(Divergence, stage, "kl", "no KL term", applicable=False)


@provides
def entropy(stage: Stage) -> Entropy | Missing:
    return _of(Entropy, stage, "entropy", "no entropy", applicable=False)


@provides
def codebook_usage(stage: Stage) -> CodebookUsage | Missing:
    return _of(CodebookUsage, stage, "codebook_usage", "no codebook or action usage", applicable=False)


@provides
def adversarial_loss(stage: Stage) -> AdversarialLoss | Missing:
    found = tuple(s for s in stage.role("discriminator_loss", "generator_loss") if len(s))
    return AdversarialLoss(found) if found else Missing("no adversarial losses", "", applicable=False)


@provides
def loss_scale(stage: Stage) -> LossScale | Missing:
    return _of(LossScale, stage, "loss_scale", "no loss scale", "log scaler.get_scale()", applicable=False)
