"""Two sets of outputs for the same inputs: from training and from inference, from one framework and another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.run import Run, Stage

ONE = frozenset(
    "train training trainer teacher reference ref original orig before eager torch pytorch expected fp32 float32 baseline".split()
)
TWO = frozenset("inference infer inferred serving deploy deployed deployment export exported onnx trt tensorrt tflite after converted actual"
                " predict production prod quantized int8 compiled jit coreml".split())  # fmt: skip
MOST = 16
_LOW = frozenset("float16 bfloat16 fp16 bf16 amp half int8 quantized".split())


@dataclass(frozen=True, slots=True)
class Output:
    """One output of both sides. Differences are relative to the standard deviation of the first side's values.

    `typical` is their median, `largest` the 99.9 % quantile (single elements may flip), `largest_raw` the largest in
    the output's own unit. `same_distribution` is the ratio of standard deviations of the two sides.
    """

    name: str
    shape: tuple[int, ...]
    typical: float
    largest: float
    largest_raw: float
    scale: float
    ratio: float
    offset: float
    correlation: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Parity:
    """The outputs of two files that hold the same names and shapes; `first` and `second` are the files."""

    first: str
    second: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Parities:
    """All comparisons of a stage, never empty."""

    all: tuple[Parity, ...]


@provides
def parities(run: Run, stage: Stage) -> Parities | Missing:
    if run.artifacts is None:
        return Missing("no files beside the logs", applicable=False)
    kept = run.artifacts
    found = kept.memo("parity", lambda: tuple(_compared(kept)))
    mine = tuple(p for p in found if owner(p.first, run.stages) is stage)
    if not mine:
        return Missing("no outputs of training and inference for the same inputs",
                       "save the outputs of one batch from both: parity/train_preds.npz and parity/inference_preds.npz", applicable=False)  # fmt: skip
    return Parities(mine)


def _compared(artifacts: Artifacts) -> Iterator[Parity]:
    for one, two in _matches(artifacts)[:MOST]:
        try:
            a, b = artifacts.read(one).arrays, artifacts.read(two).arrays
        except UnreadableError:
            continue
        low = bool(_LOW & {w for i in (one, two) for part in i.parts for w in words(part)})
        outputs = tuple(o for name in a if name in b and (o := _output(name, a[name], b[name], low)) is not None)
        if outputs:
            yield Parity(one.name, two.name, outputs)


def _matches(artifacts: Artifacts) -> list[tuple[Item, Item]]:
    """Files whose names differ by one word of each side: `train_preds.npz` and `inference_preds.npz`."""
    sides: dict[tuple[str, ...], dict[str, Item]] = {}
    for item in artifacts.items:
        if item.suffix not in (".npz", ".npy"):
            continue
        told = [w for part in item.parts for w in words(part)]
        for which, known in (("one", ONE), ("two", TWO)):
            if sum(w in known for w in told) == 1 and not any(w in (TWO if which == "one" else ONE) for w in told):
                rest = tuple(w for w in told if w not in known)
                # Data sets have a `train` folder too: only files that speak of outputs are compared.
                if {
                    "pred",
                    "preds",
                    "predictions",
                    "outputs",
                    "output",
                    "out",
                    "parity",
                    "debug",
                    "sanity",
                    "dump",
                    "compare",
                    "comparison",
                    "logits",
                    "results",
                    "embeddings",
                    "features",
                } & set(rest):
                    sides.setdefault((*rest, *_numbers(item.name)), {}).setdefault(which, item)
    both = [(pair["one"], pair["two"]) for pair in sides.values() if len(pair) == 2]
    return [(a, b) for a, b in both if _shapes(a) == _shapes(b)]


def _numbers(name: str) -> tuple[str, ...]:
    return tuple("".join(c if c.isdigit() else " " for c in name).split())


def _shapes(item: Item) -> Mapping[str, tuple[int, ...]]:
    try:
        return {k: shape for k, (shape, _) in item.peek().items()} if item.peek else {}
    except UnreadableError:
        return {}


def _output(name: str, first: Array, second: Array, low: bool) -> Output | None:
    if first.shape != second.shape or any(x.dtype.kind not in "fiub" for x in (first, second)) or not first.size:
        return None
    a, b = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    good = np.isfinite(a) & np.isfinite(b)
    if good.sum() < 2:
        return None
    gap, scale = np.abs(a - b)[good], float(a[good].std()) or float(np.abs(a[good]).max()) or 1.0
    broken = float((np.isfinite(a) != np.isfinite(b)).mean())
    sd = float(b[good].std())
    correlation = (
        float(np.corrcoef(a[good], b[good])[0, 1])
        if a[good].std() > 0 and sd > 0
        else float(np.array_equal(a[good], b[good]))
    )
    half = low or min(first.dtype.itemsize, second.dtype.itemsize) <= 2
    return Output(name, first.shape, float(np.median(gap)) / scale, max(float(np.quantile(gap, 0.999)) / scale, broken), float(gap.max()), scale,
                  sd / scale, float((b[good] - a[good]).mean()) / scale, correlation, 5e-2 if half else 5e-3)  # fmt: skip


def worst(parity: Parity) -> list[Output]:
    """The outputs beyond their tolerance, the worst first."""
    return sorted(
        (o for o in parity.outputs if o.largest > 10 * o.tolerance or o.typical > o.tolerance), key=lambda o: -o.typical
    )
