"""Comet's offline experiments: a zip with `experiment.json` and `messages.json`, which is one message a line."""

from __future__ import annotations

import orjson

from runvet.readers import Reader
from runvet.readers._flatten import settings
from runvet.readers._json_values import number, values
from runvet.readers._zip import beginning, member, member_names
from runvet.sink import Sink
from runvet.source import Source

MESSAGES, EXPERIMENT = "messages.json", "experiment.json"
_LIMIT = 4 << 20  # bytes of experiment.json
_PROGRESS = ("curr_step", "curr_epoch")  # parameters that Comet writes at every step


def claims(source: Source) -> float:
    """Certain by the archive's members."""
    return 1.0 if {MESSAGES, EXPERIMENT} <= member_names(source) else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every message. `line` of a point is the line of its message."""
    about = beginning(source, EXPERIMENT, sink, _LIMIT)
    if about is not None:
        _experiment(about, sink)
    with member(source, MESSAGES, sink) as stream:
        if stream is not None:
            for line, message in values(stream, sink, _whole):
                assert isinstance(message, dict)
                _message(message["type"], message["payload"], sink, line)


reader = Reader("comet", claims, read)


def _whole(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("payload"), dict) and isinstance(value.get("type"), str)


def _experiment(data: bytes, sink: Sink) -> None:
    try:
        experiment = orjson.loads(data)
    except orjson.JSONDecodeError:
        sink.problem(f"{EXPERIMENT} in the archive is not JSON")
        return
    for key in ("project_name", "workspace", "offline_id"):
        if isinstance(experiment, dict) and isinstance(experiment.get(key), str):
            sink.setting(f"comet.{key}", experiment[key])


def _message(kind: str, payload: dict[str, object], sink: Sink, line: int) -> None:
    stamp = number(payload.get("local_timestamp"))
    metric, parameter = payload.get("metric"), payload.get("param")
    if kind == "metric_msg" and isinstance(metric, dict):
        value = number(metric.get("metricValue"))
        if value is not None:
            sink.row(
                {str(metric.get("metricName")): value},
                step=number(metric.get("step")),
                epoch=number(metric.get("epoch")),
                time=None if stamp is None else stamp / 1000,
                line=line,
            )
    elif kind == "parameter_msg" and isinstance(parameter, dict):
        name = str(parameter.get("paramName"))
        if name not in _PROGRESS:
            settings(sink, name, parameter.get("paramValue"), line=line)
    elif kind == "log_other" and payload.get("key") == "Name":
        sink.setting("comet.run_name", str(payload.get("value")), line=line)
