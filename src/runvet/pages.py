"""A rule's page: the same text for `runvet explain`, for the documentation and for an editor."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Sequence
from importlib import resources

from runvet import engine
from runvet.rules import Rule
from runvet.run import Stage

FAMILIES = {
    "LOG": "what the log says, and what it hides",
    "LOSS": "curves of losses and metrics",
    "LR": "learning-rate schedules",
    "RES": "restarts and their seams",
    "CKPT": "checkpoints",
    "GEN": "generated samples, codes and policies",
    "REG": "regression, geometry and masks",
    "DATA": "data sets",
    "ENV": "environment and configuration",
    "SYS": "speed, stalls, memory",
    "PAR": "training against inference",
}


def find(word: str) -> Rule:
    """The rule of a code or name, in any case. Raises KeyError with the nearest names."""
    rules = engine.collect()
    for rule in rules:
        if word.lower() in (rule.code.lower(), rule.name):
            return rule
    known = [w for r in rules for w in (r.code, r.name)]
    near = difflib.get_close_matches(word, known, 3, 0.4) or difflib.get_close_matches(word.upper(), known, 3, 0.4)
    raise KeyError(
        f"no rule {word!r}" + (f"; did you mean {' or '.join(near)}?" if near else "; `runvet rules` lists them")
    )


def needs(rule: Rule) -> tuple[list[str], list[str]]:
    """First sentences of the evidence a rule must have, and of that it can use."""
    must: list[str] = []
    may: list[str] = []
    for need in engine.needs(rule.check):
        if need.type in (Stage, *engine.BASES):
            continue
        sentence = (inspect.getdoc(need.type) or need.type.__name__).split("\n\n")[0].replace("\n", " ")
        (may if need.optional else must).append(f"{need.type.__name__}: {sentence}")
    return must, may


def page(rule: Rule) -> str:
    """The page in Markdown: title, facts, the sections of the rule's docstring, its thresholds."""
    text = inspect.getdoc(rule.check) or ""
    summary, _, body = text.partition("\n")
    must, may = needs(rule)
    lines = [f"# {rule.code} {rule.name}", "", f"**{summary}**", ""]
    lines += [f"Level: {rule.level}. Family: {rule.family} ({FAMILIES.get(rule.family, '')}). Since {rule.since}.", ""]
    lines += [*(f"- Needs {n}" for n in must), *(f"- Uses, where it exists, {n}" for n in may)]
    if limits := engine.thresholds(rule.check):
        lines += [
            f"- Threshold `{name}` = {value:g} (`[thresholds.{rule.name}]` in runvet.toml)"
            for name, value in limits.items()
        ]
    if rule.explains:
        lines.append(f"- Explains {', '.join(rule.explains)}")
    return "\n".join([*lines, "", body.strip(), ""])


def table(rules: Sequence[Rule]) -> list[tuple[str, str, str, str]]:
    """Code, name, level and first sentence of each rule."""
    return [(r.code, r.name, r.level, (inspect.getdoc(r.check) or "").partition("\n")[0]) for r in rules]


def template(code: str, name: str, level: str) -> str:
    """The file of a new rule: complete, running, with examples to replace. Raises ValueError for a bad code or name."""
    if not re.fullmatch(r"[A-Z]{2,5}\d{3}", code):
        raise ValueError(f"{code!r} is no code: two to five capital letters and three digits, e.g. MINE101")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ValueError(f"{name!r} is no name: the sick state in lower-case words joined by '-', e.g. late-warmup")
    text = resources.files("runvet").joinpath("rule_template.txt").read_text(encoding="utf-8")
    return (
        text.replace("@CODE@", code)
        .replace("@NAME@", name)
        .replace("@FUNCTION@", name.replace("-", "_"))
        .replace("@LEVEL@", level)
    )
