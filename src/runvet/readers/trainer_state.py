"""`trainer_state.json` of the transformers Trainer: its log_history, its plan, its best checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runvet.readers import Reader
from runvet.readers._json import RowBuffer, emit_settings, parse, scalar
from runvet.readers._json_array import pieces, stream_rows, whole_text
from runvet.readers._lines import head_text
from runvet.readers._tables import Writer
from runvet.sink import Sink
from runvet.source import Source

LARGE = 32 << 20  # bytes; parsed, a list of rows takes ten times as much
# Names that only the row of averages over the whole run has.
_SUMMARY = frozenset(("train_runtime", "total_flos", "train_samples_per_second", "train_steps_per_second"))


def claims(source: Source) -> float:
    """Certain by the name with the list inside, or by `log_history` beside `global_step`."""
    if source.suffix != ".json":
        return 0.0
    text = head_text(source)
    if '"log_history"' in text and ('"global_step"' in text or source.name == "trainer_state.json"):
        return 0.99
    return 0.9 if source.name == "trainer_state.json" and text.lstrip().startswith("{") else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read the rows of the log and the values beside it."""
    if source.size > LARGE:
        sink.problem(f"only the log is read: the file is larger than {LARGE >> 20} MiB")
        _history(stream_rows(pieces(source), sink), sink)
        return
    state, why = parse(whole_text(source, sink, 2 * LARGE))
    if why:
        sink.problem(why)
    if state is None:
        return
    if not isinstance(state, dict):
        sink.problem("a trainer state is an object; this file holds something else")
        return
    history = state.get("log_history")
    if isinstance(history, list):
        _history(history, sink)
    else:
        sink.problem("no log_history in this trainer state")
    emit_settings(sink, {k: v for k, v in state.items() if k != "log_history"})
    _plan(state, sink)


def _history(history: Iterable[Any], sink: Sink) -> None:
    """The rows; averages over the run keep their own names (`train_loss`), apart from the curve `loss`."""
    rows = RowBuffer(Writer(sink, keep=frozenset(("epoch",))), sink)
    for number, row in enumerate(history, 1):
        if not isinstance(row, dict):
            sink.problem("an entry of log_history is no object; it is passed over", line=number)
            continue
        rows.add(row, number)
        if not _SUMMARY.isdisjoint(row):
            averages = {k: v for k, v in row.items() if k not in ("epoch", "step")}
            emit_settings(sink, averages, "summary", line=number)
    rows.flush()


def _plan(state: dict[str, Any], sink: Sink) -> None:
    steps, epochs = scalar(state.get("max_steps")), scalar(state.get("num_train_epochs"))
    if steps is not None and steps > 0:
        sink.event("planned-steps", f"max_steps: {steps:g}", value=steps)
    if epochs is not None and 0 < epochs < 1e9:
        sink.event("planned-epochs", f"num_train_epochs: {epochs:g}", value=epochs)
    best, path = scalar(state.get("best_metric")), state.get("best_model_checkpoint")
    if best is not None:
        sink.event("best", f"best_metric: {best:g}, best_model_checkpoint: {path}",
                   step=scalar(state.get("best_global_step")), value=best)  # fmt: skip


reader = Reader("trainer_state", claims, read)
