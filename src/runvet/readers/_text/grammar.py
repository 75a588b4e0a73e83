"""From the shape of a line to a plan: which of its numbers are positions, which are metrics, and how they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runvet.readers._text import words
from runvet.readers._text.atoms import Atom, atoms
from runvet.readers._text.inverse import inverse
from runvet.readers._text.names import Name, name_of

_TAG = re.compile(r"^\s{0,8}\[\s?(?P<t>[A-Za-z][^\[\]]{0,60})\]\s{0,3}(?!\s*$)")
_SUMMARY = re.compile(r"^\s{0,8}\*\s{1,3}\S")
_BEST = re.compile(r"(?i)(?<![a-z/])best(?![a-z@])")
_LETTER = frozenset("s i n k t".split())
_KEEP_TAG = re.compile(r"(?i)debug|range|eval|val|test|best|final|summar|sampl|profil|monitor|diag")
_AVERAGE = re.compile(
    r"(?i)\b(?:averaged? stats|average[ds]?|mean|summary|final|overall|total|results?|epoch summary)\b"
)
_NO_RANGE = re.compile(r"(?i)beta|mom|lr|learning|size|shape|kernel|stride|pad")
_SECTION = re.compile(r"\[(?P<t>[A-Za-z]\w{1,20})\]\s{0,3}(?=[\w.]{1,60}\s?[=:]\s?$)")  # `…, [valid] loss=`
_COUNTED = re.compile(r"(?P<e>epoch)|batch|step|iter", re.I)  # `3epoch:train:51-100batch`
_COCO = re.compile(
    r"^\s{0,4}Average (?P<what>Precision|Recall) {1,9}\(A[PR]\) {1,3}@\[ IoU=[^|]{1,20}\| area= {0,9}(?P<area>\w{1,9}) "
)
_SPENT = re.compile(r"(?:ms|s|secs?|seconds|m|min|h)(?![\w/])")
_PAIR = re.compile(r",?\s[\w./\-]{1,120}=")
_ORDINAL_BEFORE = re.compile(r"第\s{0,2}$")


@dataclass(slots=True)
class Slot:
    """One metric of a line: `atom` gives the value; `real`: only when written with a point, exponent or as non-finite."""

    name: str
    atom: Atom
    strong: bool
    metric: bool
    real: bool = False
    second: str = ""  # the name of the second number of `value (mean)` or `value ± spread`


@dataclass(slots=True)
class Plan:
    """What a line of one shape says. Indices count the numbers of the line."""

    slots: tuple[Slot, ...] = ()
    epoch: int = -1
    epochs: int = -1  # number of epochs in `3/100`
    step: int = -1
    steps: int = -1
    rank: int = 0  # how global the step is: 0 batch, 1 step, 2 global step, 3 updates
    percent: int = -1
    process: int = -1  # the rank that wrote the line, where the line itself tells
    phase: str = ""
    ranges: bool = False
    within: bool = False  # the line counts batches within an epoch
    spans: tuple[int, ...] = ()  # first numbers of the ranges
    best: bool = False
    decimals: int = -1  # of the last number of the first line of this shape, where the line ends with it
    indented: bool = False
    planned: tuple[tuple[str, int], ...] = ()
    events: tuple[str, ...] = ()
    labels: set[str] = field(default_factory=set)

    @property
    def placed(self) -> bool:
        """Whether the line says where in training it is."""
        return self.epoch >= 0 or self.step >= 0 or self.percent >= 0


def compile_plan(masked: str) -> Plan:
    """Read the shape of one message (numbers are marks, prefixes are gone)."""
    plan = Plan(indented=masked[:1] in " \t|>")
    body = masked
    tag = ""
    bracket = _TAG.match(masked)
    if bracket and "\x00" not in bracket["t"]:
        tag, body = bracket["t"].strip(), masked[bracket.end() :]
    elif bracket and _KEEP_TAG.search(bracket["t"]):
        tag = bracket["t"].split("\x00")[0].split()[0].strip(" =:")
    gaps, found = atoms(body)
    if tag and bracket is not None and "\x00" in bracket["t"]:
        gaps, found = _drop_tag(gaps, found, bracket["t"].count("\x00"))
    names = [name_of(gap, index == 0) for index, gap in enumerate(gaps[:-1])]
    if coco := _COCO.match(masked):
        return _coco(plan, found, coco)
    after = inverse(gaps, found)
    if after is not None:
        plan.step, plan.rank, plan.indented = found[0].first, 1, False
        plan.slots = tuple(
            Slot(n, a, True, words.is_metric(n)) for n, a in zip(after, found[1:], strict=False) if n and a.count == 1
        )
        return plan
    raw = _fill(plan, gaps, found, names)
    own = raw[0][1].text.lower() if raw else ""
    plan.best = bool(_BEST.search(gaps[0][:200])) and not (plan.placed and "best" in own)
    spans = [
        a
        for a, n in zip(found, names, strict=True)
        if a.kind == "pair" and a.text[0] == "[" and n.strong and not _NO_RANGE.search(n.text)
    ]
    plan.ranges = bool(spans) and len(found) > 1
    plan.spans = tuple(a.first for a in spans)
    _name_slots(plan, raw, gaps, body, tag)
    return plan


def _coco(plan: Plan, found: list[Atom], line: re.Match[str]) -> Plan:
    """`Average Precision (AP) @[ IoU=0.50:0.95 | area=all | … ] = 0.37`: the value is the last one.

    Lines for other thresholds differ from it by their numbers only and can't be told apart: they are left out.
    """
    plan.phase = "val"
    if line["what"] == "Precision" and found[0].kind == "clock" and found[-1].kind == "number":
        name = "val/AP" if line["area"] == "all" else f"val/AP {line['area']}"
        plan.slots = (Slot(name, found[-1], True, True),)
    return plan


def _drop_tag(gaps: list[str], found: list[Atom], marks: int) -> tuple[list[str], list[Atom]]:
    """Leave out the values that stand within a leading tag such as `[Debug T=4.5s]`."""
    while found and found[0].first < marks:
        found = found[1:]
        gaps = gaps[1:]
    if gaps:
        gaps[0] = gaps[0][gaps[0].find("]") + 1 :]
    return gaps, found


def _fill(plan: Plan, gaps: list[str], found: list[Atom], names: list[Name]) -> list[tuple[Atom, Name, int]]:
    """Take the positions out; what is left are candidates for metrics with their place in the line."""
    rest: list[tuple[Atom, Name, int]] = []
    for index, (atom, name) in enumerate(zip(found, names, strict=True)):
        after = gaps[index + 1].lstrip()
        if _take_position(plan, atom, name, gaps[index], after, index):
            continue
        if plan.step < 0 and _bare_count(atom, name, found, gaps, index):
            plan.step, plan.rank = atom.first, 0
            break
        counted = atom.kind == "fraction" and words.is_phase(name.text)
        aside = index > 0 and gaps[index].rstrip().endswith("(")
        if not name.text or counted:
            if atom.kind == "fraction" and _second(plan, found, gaps, index):
                plan.epoch, plan.epochs, plan.step, plan.steps = plan.step, plan.steps, atom.first, atom.first + 1
            elif atom.kind == "fraction" and plan.step < 0 and not aside and (counted or _free(gaps[index])):
                plan.step, plan.steps, plan.rank, plan.within = atom.first, atom.first + 1, 0, True
            elif atom.kind == "percent" and index == 0 and plan.percent < 0 and _free(gaps[0]):
                plan.percent = atom.first
            elif (
                (atom.kind == "number" or (atom.kind == "one" and (gaps[1][:1] == "\t" or _pairs(gaps))))
                and index == 0
                and not gaps[0].strip()
                and len(found) > 1
                and (gaps[1][:1].isspace() or gaps[1][:2] in {":\t", ": "})
            ):
                plan.step = atom.first  # `12 train 3.4`: kept only if a metric follows
                plan.rank = -1
            continue
        if atom.kind == "number" and " ".join(words.tokens(name.text)) in {"rank", "local rank", "global rank"}:
            plan.process = atom.first
            continue
        rest.append((atom, name, index))
    if plan.rank == -1:
        plan.rank = 1
        lone = len(found) == 2 and len(gaps[1].split()) == 1 and not gaps[2].strip()  # `12 name 3.4`
        # `12: learn: 0.6  test: 0.7` and `[12]  train-auc:0.6  eval-auc:0.7`
        colon = (gaps[1][:1] == ":" or found[0].kind == "one") and bool(rest)
        if not rest or (rest[0][1].strong and not colon) or not (lone or colon or words.is_metric(rest[0][1].text)):
            plan.step = -1
    return rest


def _pairs(gaps: list[str]) -> bool:
    """Whether a line is a bracket and pairs alone, as clu writes metrics: `[300] learning_rate=0.1, train/loss=2.5`."""
    return all(_PAIR.fullmatch(gap) for gap in gaps[1:-1]) and not gaps[-1].strip()


def _bare_count(atom: Atom, name: Name, found: list[Atom], gaps: list[str], index: int) -> bool:
    """`train 050 0.17 93.9 99.9`: a phase, a count of batches, and columns that the log does not name."""
    alone = not name.strong and atom.kind == "number" and words.phase(name.text) and name.text.isalpha()
    return bool(alone) and index + 1 < len(found) and gaps[index + 1].isspace()


def _second(plan: Plan, found: list[Atom], gaps: list[str], index: int) -> bool:
    """`[3/25][120/1583] loss`: of two fractions without a name, side by side at the start, the first is the epoch."""
    alone = index == 1 and found[0].kind == "fraction" and plan.step == found[0].first and plan.epoch < 0
    return alone and gaps[1].strip() in ("][", ")(", "] [", ",", "|", "")


def _free(gap: str) -> bool:
    """Whether an unnamed value stands alone: nothing but brackets and separators, or a phase word, before it."""
    text = gap.strip(" \t[](){}|-:,>'\"").lower()
    return not text or bool(words.phase(text) and len(text) < 24)


def _take_position(plan: Plan, atom: Atom, name: Name, gap: str, after: str, index: int) -> bool:
    """Use a value as the position of the line, if it is one."""
    if atom.kind not in {"number", "fraction", "one", "quoted"}:
        return False
    what = words.position(name.text) if name.text else None
    if _ORDINAL_BEFORE.search(gap):
        head = after[:4]
        what = (
            ("epoch", 0)
            if head.startswith(("轮", "個epoch", "个epoch", "个", "代", "epo"))
            else ("step", 1)
            if head.startswith(("步", "次"))
            else what
        )
    counted = None if name.text else _COUNTED.match(after)
    if (
        counted
        and gap.strip(" \t-–~") in {"", ":train:", "epoch:train:"}
        and after[counted.end() : counted.end() + 1] != "s"
    ):
        what = ("epoch", 0) if counted["e"] else ("step", 0)
    if what is None and gap.endswith(" : Up. "):
        what = ("step", 3)  # updates, as Marian counts them: `Ep. 1 : Up. 1000 : …`
    if what is None and name.strong and index == 0 and name.text in _LETTER:
        what = ("step", 1)
    total = words.planned(name.text) if name.text and atom.kind == "number" else ""
    if total and (plan.epoch >= 0 or plan.step >= 0):
        what = ("step", 2) if total == "planned-steps" and "total" in words.tokens(name.text) else what
    elif total:
        plan.planned += ((total, atom.first),)
        return False
    if what is None:
        return False
    kind, rank = what
    if kind == "epoch":
        if plan.epoch < 0:
            plan.epoch = atom.first
            plan.epochs = atom.first + 1 if atom.kind == "fraction" else -1
        return True
    plan.within = plan.within or rank <= 1
    if rank > plan.rank or plan.step < 0:
        if plan.step >= 0 and plan.steps >= 0 and plan.steps == plan.step + 1:
            plan.planned += (("epoch-length", plan.steps),)
        plan.step, plan.rank = atom.first, rank
        plan.steps = atom.first + 1 if atom.kind == "fraction" else -1
    return True


def _name_slots(plan: Plan, raw: list[tuple[Atom, Name, int]], gaps: list[str], body: str, tag: str) -> None:
    """Name the metrics, with the phase and the heading of the line where the name alone would mix things up."""
    first = raw[0][2] if raw else len(gaps) - 1
    head = " ".join([tag, *gaps[: first + 1]]) if raw else " ".join([tag, *gaps])
    if raw:
        own = raw[0][1].text
        head = head[: len(head) - len(gaps[first])] + gaps[first].rsplit(own, 1)[0] if own in gaps[first] else head
    plan.phase = words.phase(head[:200])
    if _SUMMARY.match(body) and not plan.placed and not plan.phase:
        plan.phase = "val"  # the line that the reference scripts of image classification print after validation
    named = set().union(*(words.phases(n.text) for _, n, _ in raw)) if raw else set()
    trailing = next(iter(named)) if len(named) == 1 and not plan.phase and named != {"train"} else ""
    kept = plan.ranges or _KEEP_TAG.search(tag)
    prefix = tag if tag and kept and not (plan.phase and words.phase(tag) == plan.phase) else ""
    slots: list[Slot] = []
    seen_phase, label, section = False, "", ""
    for atom, name, index in raw:
        text = name.text
        if text.lower() in {"total", "cost"} and _SPENT.match(gaps[index + 1].lstrip()):
            text += " time"
        inside = _SECTION.search(gaps[index]) if index else None
        if inside is not None:
            section = words.phase(inside["t"]) or inside["t"]
        if name.label and (_AVERAGE.search(name.label) or text.lower() in words.GENERIC):
            label = name.label
        plan.labels.add(name.label)
        own_phase = words.phase(text)
        seen_phase = seen_phase or bool(own_phase)
        groups = [g for g in (prefix, label) if g]
        lead = plan.phase if plan.phase and own_phase != plan.phase else ""
        lead = section or lead
        if trailing and seen_phase and not own_phase and not words.NEUTRAL.search(text.replace("_", " ")):
            lead = trailing
        slot = _slot(atom, name, "/".join([*([lead] if lead else []), *groups, text]), plan)
        if slot is not None:
            slots.append(slot)
    plan.slots = tuple(slots)


def _slot(atom: Atom, name: Name, full: str, plan: Plan) -> Slot | None:
    """The metric that a value and its name make, or None where they make none."""
    text = " ".join(words.tokens(name.text))
    metric = words.is_metric(name.text)
    rate = text in {"lr", "learning rate"}
    if text in words.IGNORED or atom.kind in {"date", "fraction"} or (atom.kind == "pair" and not rate):
        return None
    if "\\" in name.text or ".py" in name.text:
        return None
    if len(name.text.split()) > (6 if name.strong else 3):
        return None
    if (atom.kind == "list" and not rate) or (atom.kind == "clock" and metric and not rate):
        return None
    if not name.strong and not (metric or plan.placed):
        return None
    real = not name.strong and not metric
    if words.tokens(name.text)[-1:] == ["seed"]:
        return None
    second = ""
    if name.part and atom.kind != "mean":
        full = f"{full} {name.part}" if name.part.startswith("(") else full + name.part
    if atom.kind == "mean":
        second = f"{full} {name.part}" if name.part else f"{full} (mean)"
    elif atom.kind == "spread":
        second = f"{full} (std)"
    return Slot(full, atom, name.strong, metric, real, second)
