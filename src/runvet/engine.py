"""Collect rules and evidence, run every rule on every stage, and account for each of them.

The annotations of a rule's positional arguments are the evidence it needs; its keyword-only arguments are its
thresholds. A rule that (directly or through evidence) needs the `Stage` runs once a stage, any other once a run.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from runvet import evidence as evidence_package
from runvet import rules as rules_package
from runvet.config import Config, ConfigError
from runvet.evidence import PROVIDERS, Missing
from runvet.report import Finding, Level
from runvet.rules import Rule, Sick, Unsure
from runvet.run import Run, Stage

State: TypeAlias = Literal["critical", "warning", "pass", "not checked", "not applicable", "crashed"]
T = TypeVar("T")
BASES: tuple[type, ...] = (Run, Stage, Config)


class RuleError(TypeError):
    """A rule or provider is written wrongly: unknown evidence, a code used twice. The message names it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one rule on one stage (None: on the run). `why` and `unlock` explain what did not run."""

    rule: Rule
    stage: str | None
    state: State
    findings: tuple[Finding, ...] = ()
    why: str = ""
    unlock: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """One positional argument: the evidence's type, and whether the function can do without."""

    name: str
    type: type
    optional: bool


def _scan(package: types.ModuleType) -> Iterable[types.ModuleType]:
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        yield importlib.import_module(info.name)


@cache
def collect() -> tuple[Rule, ...]:
    """All rules in the order of their codes, those of the entry-point group `runvet.rules` included.

    Raises RuleError where a code or name is used twice, or a rule asks for evidence that nothing provides.
    """
    modules = list(_scan(rules_package))
    for entry in entry_points(group="runvet.rules"):
        module = entry.load()
        modules += [module, *(_scan(module) if hasattr(module, "__path__") else ())]
    found: dict[str, Rule] = {}
    for module in modules:
        for value in vars(module).values():
            rule = getattr(value, "__dict__", {}).get("runvet_rule") if inspect.isfunction(value) else None
            if not isinstance(rule, Rule) or rule.module != module.__name__:
                continue
            clash = next((r for r in found.values() if r.code == rule.code or r.name == rule.name), None)
            if clash is not None and clash != rule:
                raise RuleError(f"{rule.module}: {rule.code} {rule.name} is taken by {clash.module}")
            found[rule.code] = rule
    for rule in found.values():
        needs(rule.check)
    return tuple(sorted(found.values(), key=lambda r: (r.family, r.code)))


@cache
def providers() -> Mapping[type, Callable[..., Any]]:
    """The provider of each evidence type, by the return annotations of the functions marked `@provides`."""
    for _ in _scan(evidence_package):
        pass
    table: dict[type, Callable[..., Any]] = {}
    for function in PROVIDERS:
        returned = typing.get_type_hints(function)["return"]
        for kind in typing.get_args(returned) or (returned,):
            if kind is not Missing and kind is not type(None):
                table[kind] = function
    return table


@cache
def needs(function: Callable[..., Any]) -> tuple[Need, ...]:
    """The evidence a rule or provider asks for. Raises RuleError naming an argument of unknown type."""
    hints = typing.get_type_hints(function)
    out = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            continue
        options = [t for t in (typing.get_args(hints.get(name)) or (hints.get(name),)) if t is not type(None)]
        if len(options) != 1 or (options[0] not in BASES and options[0] not in providers()):
            known = ", ".join(sorted(t.__name__ for t in (*BASES, *providers())))
            raise RuleError(
                f"{function.__module__}: no evidence of type {hints.get(name)} (argument {name!r}). Known: {known}"
            )
        out.append(Need(name, options[0], len(typing.get_args(hints[name])) > 1))
    return tuple(out)


def thresholds(function: Callable[..., Any]) -> dict[str, float]:
    """The keyword-only arguments of a rule with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


@cache
def per_stage(function: Callable[..., Any]) -> bool:
    """Whether a rule or provider needs the stage, directly or through other evidence."""
    return any(n.type is Stage or (n.type not in BASES and per_stage(providers()[n.type])) for n in needs(function))


def matches(rule: Rule, selector: str) -> bool:
    """Whether a code, a name, a family or a beginning of a code means this rule."""
    return selector in (rule.code, rule.name, rule.family, "ALL") or (
        selector.isalnum() and rule.code.startswith(selector.upper())
    )


def check_selectors(rules: Sequence[Rule], config: Config) -> None:
    """Raise ConfigError where a rule is named that does not exist, with the nearest one that does."""
    known = [word for r in rules for word in (r.code, r.name, r.family)]
    for selector in (*config.select, *config.ignore, *config.thresholds):
        if not any(matches(r, selector) for r in rules):
            near = difflib.get_close_matches(selector, known, 1)
            raise ConfigError(
                f"{config.source or 'command line'}: no rule {selector!r}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )


class Evidence:
    """Evidence of one run: each provider runs once per stage, on first use."""

    def __init__(self, run: Run, config: Config) -> None:
        self._bases: dict[type, Any] = {Run: run, Config: config}
        self._known: dict[tuple[type, int | None], Any] = {}

    def get(self, kind: type, stage: Stage | None) -> Any:
        """The evidence of a type for a stage, or `Missing`. What a provider raises is raised each time."""
        if kind is Stage:
            return stage
        if kind in self._bases:
            return self._bases[kind]
        provider = providers()[kind]
        key = (kind, id(stage) if per_stage(provider) else None)
        if key not in self._known:
            self._known[key] = self.call(provider, stage, {})
        return self._known[key]

    def known(self, kind: type[T], stage: Stage | None) -> T | None:
        """The evidence of a type where some rule has asked for it and it exists; nothing is computed."""
        value = self._known.get((kind, id(stage) if stage is not None and per_stage(providers()[kind]) else None))
        return value if isinstance(value, kind) else None

    def call(self, function: Callable[..., Any], stage: Stage | None, extra: Mapping[str, float]) -> Any:
        """Call a rule or provider with its evidence; the first required piece that is missing is returned."""
        arguments = {}
        for need in needs(function):
            value = self.get(need.type, stage)
            if isinstance(value, Missing):
                if not need.optional:
                    return value
                value = None
            arguments[need.name] = value
        return function(**arguments, **extra)


def _judge(rule: Rule, evidence: Evidence, stage: Stage | None, config: Config) -> Outcome:
    name = stage.name if stage is not None else None
    try:
        # Comparisons with NaN are false, which is what a rule wants; numpy's warnings are not for the user.
        with np.errstate(all="ignore"):
            result = evidence.call(rule.check, stage, _limits(rule, config))
            if not isinstance(result, (Missing, Unsure, Sick)):
                result = tuple(result or ())
    except ConfigError:
        raise
    except Exception as error:  # a crash of one rule is its own state and hides no other rule
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(rule, name, "crashed", why=f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})")
    if isinstance(result, (Missing, Unsure)):
        state: State = "not checked" if result.applicable else "not applicable"
        return Outcome(rule, name, state, why=result.why, unlock=result.unlock)
    sick = (result,) if isinstance(result, Sick) else result
    if not sick:
        return Outcome(rule, name, "pass")
    findings = tuple(_finding(rule, name, one) for one in sick)
    worst: Level = "critical" if any(f.severity == "critical" for f in findings) else "warning"
    return Outcome(rule, name, worst, findings)


def _limits(rule: Rule, config: Config) -> dict[str, float]:
    told = {**config.thresholds.get(rule.code, {}), **config.thresholds.get(rule.name, {})}
    known = thresholds(rule.check)
    for name in told:
        if name not in known:
            raise ConfigError(
                f"{config.source}: {rule.name} has no threshold {name!r}; it has {', '.join(known) or 'none'}"
            )
    return told


def _finding(rule: Rule, stage: str | None, sick: Sick) -> Finding:
    level: Level = "warning" if "warning" in (rule.level, sick.level) else "critical"
    return Finding(rule.code, rule.name, level, stage, sick.message, sick.evidence, sick.since_step,
                   sick.innocent, sick.actions, sick.window)  # fmt: skip


def judge(
    run: Run,
    config: Config | None = None,
    rules: Sequence[Rule] | None = None,
    *,
    evidence: Evidence | None = None,
) -> list[Outcome]:
    """Run every selected rule on every stage of a run; one outcome per rule and stage. `evidence` is the run's own.

    A rule whose evidence exists on some stages only is judged there; on the others it is told why not. Raises
    ConfigError where the configuration names a rule or threshold that does not exist.
    """
    config = config or Config()
    rules = collect() if rules is None else rules
    check_selectors(rules, config)
    chosen = [r for r in rules if not config.select or any(matches(r, s) for s in config.select)]
    chosen = [r for r in chosen if not any(matches(r, s) for s in config.ignore)]
    evidence = evidence if evidence is not None else Evidence(run, config)
    out: list[Outcome] = []
    for rule in chosen:
        scopes: Sequence[Stage | None] = run.stages if per_stage(rule.check) else (None,)
        out += [_judge(rule, evidence, stage, config) for stage in scopes]
    return out
