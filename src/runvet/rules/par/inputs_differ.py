"""PAR104 inputs-differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.inputs import Compared, FedInputs
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import FloatArray, Run


@rule("PAR104", "inputs-differ", level="critical", since="0.1", explains=("PAR101", "GEN101", "GEN104"))
def inputs_differ(inputs: FedInputs, *, shift: float = 0.5, ratio: float = 1.6) -> Iterator[Sick]:
    """The model is fed other numbers in use than in training: another range, normalisation, colour order or position.

    ## What it checks
    Saved batches of inputs of both sides (`train_batch.npz`, `inference_batch.npz`): mean, standard deviation, range,
    means of colours, and whether equal pictures are rolled sideways. Critical where the difference has a known cause
    (0..255 against 0..1, mean and standard deviation not taken off, red and blue exchanged, rolled); a warning where
    the mean moved by half a standard deviation or the spread by a factor of 1.6 without one.
    ## Why it matters
    Normalisation layers hide it: 0..255 pictures in a model of 0..1 look mild in the metric (a depth error of 0.21
    for 0.07), and pass for a model that needs more training. The statistics of the input show it at once.
    ## What to do
    Let training and use share one function for preprocessing, saved with the model, and compare one batch in a test.
    ## When to ignore it
    The two batches hold different kinds of pictures on purpose, or training augments heavily.
    ## Known limits
    Files are paired by their names.
    ## References
    - Failure reports: recognize-anything#212, ResNet-pytorch#1, momask-codes#109, deepsensor#28.
    """
    for one in inputs.all:
        cause = _cause(one)
        moved = abs(one.use.mean - one.train.mean) / one.train.sd
        wider = max(one.use.sd / one.train.sd, one.train.sd / max(one.use.sd, 1e-12))
        if cause or moved > shift or wider > ratio:
            yield _report(one, cause, moved, wider)


def _cause(one: Compared) -> str:
    a, b = one.train, one.use
    for x, y, order in ((a, b, "training {} and use {}"), (b, a, "use {} and training {}")):
        if y.high > 32 and y.low >= 0 and x.low >= 0 and x.high <= 1.001 and 100 < y.sd / max(x.sd, 1e-9) < 600:
            return order.format("is fed 0..1", "0..255")
        if x.low < -0.5 and x.high < 20 and y.high > 32 and y.low >= 0:
            return order.format("is fed normalised values", "0..255")
        if (
            x.low < -0.5
            and abs(x.mean) < 1
            and 0.4 < x.sd < 2
            and y.low >= 0
            and y.high <= 1.001
            and y.sd < 0.45
            and y.high > 0.3
        ):
            return order.format("is fed normalised values (mean and standard deviation taken off)", "0..1")
    if len(a.channels) == len(b.channels) == 3:
        apart, turned = (float(np.abs(b.channels - c).max()) / a.sd for c in (a.channels, a.channels[::-1]))
        if apart > 0.15 and turned < 0.25 * apart:
            return "red and blue are exchanged"
    if one.shift:
        return f"pictures are rolled sideways by {one.shift} of {one.width} columns"
    return ""


def _report(one: Compared, cause: str, moved: float, wider: float) -> Sick:
    a, b = one.train, one.use
    return Sick(
        f"inputs ({one.name}) differ between training and use: mean {a.mean:.3g} and {b.mean:.3g}, standard deviation {a.sd:.3g} and {b.sd:.3g}, range [{a.low:.3g}, {a.high:.3g}] and [{b.low:.3g}, {b.high:.3g}]"
        + (f"; {cause}" if cause else ""),
        (
            Measure("mean and standard deviation in training", f"{a.mean:.5g}, {a.sd:.5g}", None, a.where),
            Measure("mean and standard deviation in use", f"{b.mean:.5g}, {b.sd:.5g}", None, b.where),
            Measure("shift of the mean", float(f"{moved:.3g}"), "standard deviations"),
            Measure("factor between the spreads", float(f"{wider:.4g}")),
            *((Measure("means of the colours", f"{np.round(a.channels, 4).tolist()} and {np.round(b.channels, 4).tolist()}"),) if len(a.channels) and len(b.channels) else ()),
        ),
        innocent="the two batches hold different kinds of pictures on purpose, or training augments heavily",
        actions=(Action(f"Feed use as training was: {cause or 'compare the two preprocessings line by line'}; then measure again before any training", "minutes", "repair"),),
        level=None if cause else "warning",
    )  # fmt: skip


def _pictures(n: int = 4, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    rows = np.cumsum(rng.normal(0, 0.05, (n, 3, 16, 48)), axis=-1)
    return np.asarray(np.clip(np.array([0.6, 0.45, 0.3])[:, None, None] + rows, 0, 1))


def sick() -> Iterator[Run]:
    """0..255, no normalisation, red and blue exchanged, rolled by a quarter, darker."""
    x = _pictures()
    norm = (x - 0.45) / 0.225
    yield made.with_files({"parity/train_batch.npz": {"image": x}, "parity/inference_batch.npz": {"image": 255 * x}})
    yield made.with_files({"debug/train_inputs.npz": {"img": norm}, "debug/infer_inputs.npz": {"img": _pictures(6, 2)}})
    yield made.with_files(
        {"parity/train_batch.npz": {"image": norm}, "parity/inference_batch.npz": {"image": norm[:, ::-1]}}
    )
    yield made.with_files(
        {"parity/train_batch.npz": {"image": norm}, "parity/inference_batch.npz": {"image": np.roll(norm, 12, -1)}}
    )
    yield made.with_files({"train_batch.npz": {"x": norm}, "val_batch.npz": {"x": 0.4 * norm}})


def healthy() -> Iterator[Run]:
    """The same, another batch, augmented a little."""
    x = _pictures()
    norm, other = (x - 0.45) / 0.225, (_pictures(6, 5) - 0.45) / 0.225
    yield made.with_files({"parity/train_batch.npz": {"image": x}, "parity/inference_batch.npz": {"image": x + 1e-3}})
    yield made.with_files({"train_batch.npz": {"image": norm}, "val_batch.npz": {"image": other}})
    yield made.with_files({"train_batch.npz": {"image": 1.15 * norm + 0.1}, "val_batch.npz": {"image": other}})
