"""Tables of training data with a target: which of their features are the target in another form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from runvet.artifacts.grouping import PREDICTION, role, split_of, words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError
from runvet.evidence import Missing, provides
from runvet.evidence.settings import name_of
from runvet.run import FloatArray, Run, Setting

TARGETS = ("label", "labels", "target", "targets", "y", "class", "classes", "outcome", "response")
TOLD = ("target", "target_column", "target_col", "target_name", "target_key", "label", "label_column", "label_col", "label_name",
        "label_key", "y_col", "y_column", "response", "outcome", "dependent_variable")  # fmt: skip
INPUTS = frozenset("x inputs input features feature data".split())
CHOSEN = frozenset("features feature_columns feature_cols feature_names input_columns input_cols input_features numeric_features"
                   " numerical_features num_features num_cols numeric_columns x_cols x_columns predictors covariates columns".split())  # fmt: skip
DROPPED = frozenset("drop drop_columns drop_cols drop_features exclude excluded exclude_columns exclude_features ignore ignore_columns"
                    " ignored_columns ignore_features remove_columns unused_columns".split())  # fmt: skip
# Columns that stand beside a target and are no feature: other forms of a class, weights by class, answers of a model.
BESIDE = frozenset("id ids index idx code codes onehot hot encoded enc name names label labels class classes category categories"
                   " target targets group fold split subset weight weights cost pred preds prediction predictions predicted prob"
                   " probs probability proba score scores logit logits yhat output gt truth".split())  # fmt: skip
FILES, BYTES = 6, 64 << 20
ROWS, CLASSES, EACH = 100, 50, 10  # fewest rows, most classes, fewest rows of each
TIGHT = 10.0  # times the spread within a class that lies between two of them: nature keeps no such distance
EXACT = 1e-8  # share of the variance that a straight line may leave: rounding, and never the next value of a series
COLUMNS = 512


@dataclass(frozen=True, slots=True)
class Copy:
    """One feature that tells the target of every row; `chosen` where it surely is an input of the model."""

    where: str
    target: str
    feature: str
    rows: int
    how: str
    columns: int  # features of the table
    chosen: bool


@dataclass(frozen=True, slots=True)
class TargetCopies:
    """Tables whose features were compared with their target (at least one), and the copies among them."""

    tables: int
    found: tuple[Copy, ...]


@provides
def target_copies(run: Run) -> TargetCopies | Missing:
    settings = [*run.settings, *(s for stage in run.stages for s in stage.settings)]
    found: list[Copy] = []
    tables = 0
    for item, arrays in _tables(run.artifacts) if run.artifacts is not None else ():
        looked = [t for t in (_in_arrays(arrays), _in_columns(arrays, settings)) if t is not None]
        tables += bool(looked)
        for target, y, features, inputs in looked[:1]:
            found += _copies(item.name, target, y, features, settings, inputs=inputs)
    if not tables:
        return Missing("no table of training data with a target", "", applicable=False)
    return TargetCopies(tables, tuple(found))


def _tables(artifacts: Artifacts) -> Iterator[tuple[Item, Mapping[str, Array]]]:
    """The first few tables of training data."""
    left = FILES
    for item in artifacts.items:
        told = {w for p in item.parts for w in words(p)}
        training = split_of(item.name) == "train" or (role(item.name) == "data" and not split_of(item.name))
        if (
            item.suffix not in (".npz", ".csv", ".parquet", ".jsonl")
            or not training
            or told & PREDICTION
            or item.size > BYTES
        ):
            continue
        left -= 1
        try:
            contents = artifacts.read(item)
        except UnreadableError:
            continue
        yield item, contents.arrays
        if left <= 0:
            return


Table = tuple[str, Array, dict[str, Array], bool]


def _in_arrays(arrays: Mapping[str, Array]) -> Table | None:
    """An array of targets (n,) and one of inputs (n, columns)."""
    y = next((k for k in arrays if k.lower() in TARGETS and arrays[k].ndim == 1 and len(arrays[k]) >= ROWS), None)
    x = next(
        (
            k
            for k in arrays
            if set(words(k)) & INPUTS and arrays[k].ndim == 2 and y and len(arrays[k]) == len(arrays[y])
        ),
        None,
    )
    if y is None or x is None or arrays[x].shape[1] > COLUMNS or arrays[x].dtype.kind not in "iufb":
        return None
    return y, arrays[y], {f"{x}[:, {j}]": arrays[x][:, j] for j in range(arrays[x].shape[1])}, True


def _in_columns(arrays: Mapping[str, Array], settings: Sequence[Setting]) -> Table | None:
    """Columns of one length, one of which the settings or its name tell as the target."""
    columns = {k: v for k, v in list(arrays.items())[:COLUMNS] if v.ndim == 1 and v.dtype.kind in "iufb"}
    told = [s.value for s in settings if name_of(s) in TOLD and isinstance(s.value, str)]
    by_name = {k.lower(): k for k in columns}
    target = next((t for t in told if t in columns), None) or next((by_name[t] for t in TARGETS if t in by_name), None)
    if target is None or len(columns[target]) < ROWS:
        return None
    same = {k: v for k, v in columns.items() if k != target and len(v) == len(columns[target])}
    return (target, columns[target], same, False) if same else None


def _copies(
    where: str, target: str, y: Array, features: Mapping[str, Array], settings: Sequence[Setting], *, inputs: bool
) -> Iterator[Copy]:
    chosen, dropped = _named(settings, CHOSEN), _named(settings, DROPPED)
    use = {k: v for k, v in features.items() if k not in dropped and (inputs or not chosen or k in chosen)}
    truth = np.asarray(y, np.float64)
    if len(use) < 3 or not np.isfinite(truth).all():
        return
    classes, counts = np.unique(truth, return_counts=True)
    few = len(classes) <= CLASSES and bool((truth == np.round(truth)).all())
    if few and (len(classes) < 2 or counts.min() < EACH):
        return
    found = []
    for name, column in use.items():
        values = np.asarray(column, np.float64)
        if not np.isfinite(values).all() or (not inputs and name not in chosen and _beside(name, target, few=few)):
            continue
        how = _by_class(values, truth, classes) if few else _by_course(values, truth)
        if how:
            found.append(Copy(where, target, name, len(truth), how, len(use), inputs or name in chosen))
    if 3 * len(found) <= len(use):  # where many tell the answer, the task is that easy
        yield from found


def _named(settings: Sequence[Setting], keys: frozenset[str]) -> frozenset[str]:
    lists = [s.value for s in settings if name_of(s) in keys and isinstance(s.value, list)]
    return frozenset(str(v) for several in lists for v in several)


def _beside(name: str, target: str, *, few: bool) -> bool:
    """Whether a column is by its name another form of a class, a weight or a model's answer."""
    told = set(words(name))
    return bool(told & BESIDE) or (few and bool(told & set(words(target))))


def _by_class(values: FloatArray, truth: FloatArray, classes: FloatArray) -> str:
    """Whether each class has a narrow range of its own, far from the others'."""
    parts = sorted((values[truth == c] for c in classes), key=lambda p: float(p.mean()))
    gaps = [float(b.min() - a.max()) for a, b in pairwise(parts)]
    within = max(float(p.std()) for p in parts)
    if min(gaps) <= 0 or min(gaps) < TIGHT * within:
        return ""
    return (
        "one value for each class"
        if within == 0
        else f"a narrow range for each class, {min(gaps) / within:,.0f} times its spread apart"
    )


def _by_course(values: FloatArray, truth: FloatArray) -> str:
    """Whether a feature is a straight line of the target but for rounding, or rises (or falls) with it everywhere."""
    spread = float(values.std())
    if len(np.unique(truth)) < ROWS / 2 or not spread > 0:
        return ""
    r = float(np.corrcoef(values, truth)[0, 1])
    if 1 - r**2 <= EXACT:
        return f"a straight line of it, correlation {r:.6f}"
    order = np.argsort(truth, kind="stable")
    steps = np.diff(values[order])
    in_order = bool((np.diff(truth) >= 0).all() or (np.diff(truth) <= 0).all())  # whatever counts rows rises with it
    apart = np.diff(truth[order]) > 0
    monotone = bool((steps[apart] >= 0).all() or (steps[apart] <= 0).all()) and len(np.unique(values)) >= 0.5 * len(
        np.unique(truth)
    )
    return "it rises or falls with it in every row" if monotone and not in_order else ""
