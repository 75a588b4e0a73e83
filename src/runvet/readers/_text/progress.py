"""Progress bars: tqdm, Keras and their like, drawn again and again on one line or on many."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TQDM = re.compile(
    r"(?P<desc>[^|]{0,400}?)(?:\s{0,3}(?P<pct>\d{1,3})%\|[^|]{0,400}\|\s{0,4}(?P<i>[\d.]{1,15}[kMGT]?)/(?P<n>[\d.]{1,15}[kMGT]?|\?)"
    r"|(?<![\w.])(?P<only>\d{1,15})(?:it|batch|step|ex))\s{0,4}\[(?P<in>[^\]\[]{0,4000}(?:\[[^\[\]]{0,400}\][^\]\[]{0,2000}){0,20})\](?P<tail>.{0,2000})"
)
_KERAS = re.compile(
    r"\s{0,4}(?P<i>\d{1,12})/(?P<n>\d{1,12}|Unknown)\s{0,4}(?:\[[=>.\s]{0,80}\]|[━╸╺─ ]{2,80}|(?=- ))\s{0,4}-?\s{0,4}"
    r"(?P<rest>(?:ETA:|\d{1,9}s|[\d:]{3,12}s?|\d{1,9}(?:ms|us)/step).{0,20000})$"
)
_KERAS_LEAD = re.compile(
    r"^(?:ETA: [\d:]{1,12}|[\d:]{1,12}s?|)\s{0,4}(?:-\s)?\s{0,4}(?:[\d.]{1,12}(?:s|ms|us|µs|ns)/(?:step|epoch|sample))?\s{0,4}-?\s{0,4}"
)
_CLOCKS = re.compile(r"^[^,]{0,80}(?:,\s{0,3}[^,=:]{0,40}(?:/s|it|s/it|B/s|/it)[^,=:]{0,20})?,?\s{0,4}")


@dataclass(slots=True)
class Bar:
    """One drawing: `done` of `total`, the words before it and the metrics after it."""

    desc: str
    done: float
    total: float | None
    tail: str
    keras: bool = False


def read_bar(text: str) -> Bar | None:
    """The progress bar that a state draws, or None."""
    if "%|" in text or "it [" in text or "it/s" in text or "s/it" in text:
        match = _TQDM.search(text[:6_000])
        if match:
            inside = _CLOCKS.sub("", match["in"], count=1)
            tail = match["tail"].strip(" :,")
            total = None if match["n"] in {None, "?"} else _si(match["n"])
            return Bar(
                match["desc"].strip(), _si(match["i"] or match["only"]), total, f"{inside}, {tail}" if tail else inside
            )
    if "/" in text[:30] and (" - " in text or "━" in text):
        match = _KERAS.match(text)
        if match:
            total = float(match["n"]) if match["n"].isdigit() else None
            return Bar("", float(match["i"]), total, _KERAS_LEAD.sub("", match["rest"], count=1), True)
    return None


def _si(text: str) -> float:
    scale = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1:], 1.0)
    try:
        return float(text.rstrip("kMGT")) * scale
    except ValueError:
        return 0.0
