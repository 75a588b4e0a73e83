"""The name of a value: the words right before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runvet.readers._text import words

_LONGEST = 120  # characters of a name

_UNIT = re.compile(
    r"(?:[A-Za-zµμ%°²³]{1,12}(?:/[A-Za-z]{1,12})?(?![\w])(?![:=])"
    r"|\s(?:ms|us|ns|s|sec|secs|seconds?|mins?|minutes?|hours?|hrs?|h|days?|it/s|its?/s|s/it|sec/batch|s/step|ms/step|examples/sec|samples?/s(?:ec)?|imgs?/s(?:ec)?"
    r"|images?/s(?:ec)?|tok(?:en)?s?/s(?:ec)?|steps?/s(?:ec)?|wps|BPC|bpc|BPB|dB|GB|MB|KB|GiB|MiB|KiB|TFLOPs?|TFLOPS|s / it|meters|m|px|params|parameters)(?![\w/:=]))"
)
_UNIT_WIDE = re.compile(r"\s?(?:轮|步|次|个|代|回)(?=\s|[,;|:])|[^\x00-\u02ff\ue000-\uf8ff\W]{1,6}(?=[\s,;|)\].]|$)")
_STRONG = re.compile(r"\s{0,20}[:=]{1,2}>?\s{0,40}$")
_TUPLE = re.compile(r"['\"]\s{0,3},\s{0,3}['\"]?\s{0,3}$")
_OPEN = " \t'\"[({<~≈$>"
_PAREN = re.compile(r"\s?(?:\([^()]{1,24}\)|\[[^\[\]]{1,40}\])$")
_CUT = re.compile(
    r"[,;|{}()\[\]<>\"`\t!?*]|(?<!\w)'|'(?!\w)|\s{2,}|\s[-–—]{1,3}\s|\s/\s|\.\s|-{2,}|:\s{1,3}|=\s?|→|\\n"
)
_COMPACT = re.compile(r".*\s(?=[^\s:=]{1,80}$)", re.S)
_LEADING = re.compile(r"^\d[\d.]{0,12}[A-Za-z]{0,6}\s")
_EDGE = " \t-–—>=+#*.:/\\'\"•·►✓✔~&@"


@dataclass(frozen=True, slots=True)
class Name:
    """What stands before a value. `strong`: a colon or equals sign; `part`: words in brackets after the name; `label`: a heading before it."""

    text: str
    strong: bool
    part: str = ""
    label: str = ""


def name_of(gap: str, first: bool) -> Name:
    """The name that a gap gives to the value after it. `first`: no value stands before the gap on its line."""
    if not first:
        unit = _UNIT.match(gap) or (None if gap.isascii() else _UNIT_WIDE.match(gap))
        if unit and (gap[unit.end() :].strip() or not unit[0][:1].isspace() or len(gap) == unit.end()):
            gap = gap[unit.end() :]
    left = gap.rstrip(_OPEN)
    strong = _STRONG.search(left)
    item = ""  # the colon of a string in a printed tuple: there it belongs to the name
    tight = bool(strong) and not gap[-1:].isspace() and strong is not None and not strong[0][:1].isspace()
    if strong:
        left = left[: strong.start()].rstrip()
        if left.endswith((" is", " was")):
            left = left[: left.rindex(" ")]
        left = left.rstrip("'\" ")
    else:
        quoted = _TUPLE.search(gap)
        if quoted and (inner := gap[: quoted.start()].rstrip()).endswith((":", "=")):
            left, strong, item = inner.rstrip(":= "), _STRONG.search(inner), inner[-1]
    part = ""
    bracket = _PAREN.search(left)
    if bracket and bracket.start() and left[bracket.start() - 1] not in ",;|:":
        part, left = bracket[0], left[: bracket.start()]
    pieces = _CUT.split(left)
    text = _LEADING.sub("", pieces[-1].strip(_EDGE))
    if strong is None:
        text = _after_stop(text.removesuffix(" is").removesuffix(" was"))
    elif tight and " " in text:
        text = _tight(text)
    label = ""
    if strong and len(pieces) > 1 and left[: len(left) - len(pieces[-1])].rstrip().endswith(":"):
        label = pieces[-2].strip(_EDGE)
    if not any(c.isalpha() for c in text):
        return Name("", strong is not None)
    return Name(
        text[:_LONGEST] + item, strong is not None, part.strip(), label if any(c.isalpha() for c in label) else ""
    )


def _after_stop(text: str) -> str:
    """Of a phrase the words after the last filler: `Saved the best with val loss` gives `val loss`."""
    parts = text.split()
    for index in range(len(parts) - 1, -1, -1):
        if parts[index].lower().strip(".") in words.STOP:
            return " ".join(parts[index + 1 :])
    return " ".join(parts)


def _tight(text: str) -> str:
    """`a=b c=1`: the name is `c`; but `valid Loss=1` and `batch loss:1` keep both words."""
    parts = text.split()
    for index in range(len(parts) - 1, 0, -1):
        if ":" in parts[index - 1] or "=" in parts[index - 1]:
            return " ".join(parts[index:])
    return " ".join(parts)
