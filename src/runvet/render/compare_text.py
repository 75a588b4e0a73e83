"""Comparisons of runs for a terminal: settings, curves, speed, findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runvet.comparison import Comparison, CurveDifference, FindingDifference, SeedEffect, SettingDifference
from runvet.render.numbers import exact, plural, short
from runvet.render.terminal import Terminal

MOST = 20  # curves, settings and findings drawn of each
WORDS = {"better": "better in this run", "worse": "worse in this run", "no difference": "no difference beyond noise"}
STYLES = {"better": "sound", "worse": "critical", "no difference": "dim", "too few points": "dim"}


def render(
    comparisons: Sequence[Comparison],
    terminal: Terminal | None = None,
    *,
    verbose: bool = False,
    seeds: Sequence[SeedEffect] = (),
) -> str:
    """What repeated runs say, then one part for each run that was compared with the base.

    `verbose` also lists settings that are mere noise.
    """
    t = terminal or Terminal()
    parts = ["\n".join(_seeds(seeds, t)).rstrip() + "\n"] if seeds else []
    parts += ["\n".join(_comparison(c, t, verbose)).rstrip() + "\n" for c in comparisons]
    return t.fit("\n".join([*parts, "\n".join(t.wrap(caution(seeds), indent=0)) + "\n"]))


def caution(seeds: Sequence[SeedEffect]) -> str:
    """What the differences of single runs do not say."""
    if seeds:
        return (
            "Of two single runs the errors hold the noise within each run alone; what the seed changes is only in the "
            "part on repeated runs."
        )
    return (
        "One run of each: better or worse in this run is beyond the noise within both, but another seed may change as "
        "much. That one configuration is better is not shown. Repeat both with other seeds (3 or more of each), and "
        "name all of them: runvet compare BASE RUN..."
    )


def _seeds(seeds: Sequence[SeedEffect], t: Terminal) -> Iterator[str]:
    """Every configuration with repeats against the base's."""
    arrow = "→" if t.unicode else "->"
    yield t.paint("Repeated runs", "bold") + "  that differ from each other in seeds only, at equal steps, late"
    last: tuple[str, ...] = ()
    for e in seeds[: 2 * MOST]:
        if e.other_runs != last:
            last = e.other_runs
            yield from t.wrap(f"base, {plural(len(e.base), 'run')}: {', '.join(e.base_runs)}", indent=4, first="  ")
            yield from t.wrap(f"other, {plural(len(e.other), 'run')}: {', '.join(e.other_runs)}", indent=4, first="  ")
        word = {"no difference": "not shown beyond seeds"}.get(e.outcome, e.outcome)
        mine, theirs = (exact(_short(sum(v) / len(v))) for v in (e.base, e.other))
        error = f"({e.difference:+.3g} ± {e.error:.2g}; p = {e.p:.2g})"
        yield f"    {t.plain(e.name)[:28]}  {t.paint(word, STYLES[e.outcome])}  {mine} {arrow} {theirs}  {error}"
    yield ""


def _comparison(c: Comparison, t: Terminal, verbose: bool) -> Iterator[str]:
    arrow = "→" if t.unicode else "->"
    yield t.paint("base", "bold") + f"   {t.plain(c.base)}   {t.paint(c.base_verdict, c.base_verdict)}"
    yield t.paint("other", "bold") + f"  {t.plain(c.other)}   {t.paint(c.other_verdict, c.other_verdict)}"
    yield ""
    yield from _settings(c, t, arrow, verbose)
    yield from _curves(c, t, arrow)
    for s in c.speed:
        where = f" ({t.plain(s.stage)})" if len(c.speed) > 1 else ""
        yield (
            t.paint("Speed", "bold")
            + f"{where}  {short(s.base)} {arrow} {short(s.other)} {t.plain(s.unit)} ({s.ratio - 1:+.1%})"
        )
    if c.speed:
        yield ""
    yield from _findings("Findings of the base alone", c.only_base, t)
    yield from _findings("Findings of the other alone", c.only_other, t)
    if c.unpaired:
        yield from t.wrap(f"Stages that only one run has: {', '.join(c.unpaired)}", indent=2, first="")


def _settings(c: Comparison, t: Terminal, arrow: str, verbose: bool) -> Iterator[str]:
    shown = [d for d in c.settings if verbose or not d.noise]
    hidden = len(c.settings) - len(shown)
    total = (
        f"{len(shown)} differ, {c.same_settings} are the same"
        if c.settings or c.same_settings
        else "none are known of either run"
    )
    aside = f"; {plural(hidden, 'path, date or name')} not shown: --verbose" if hidden else ""
    yield t.paint("Settings", "bold") + f"  {total}{aside}"
    width = max((min(len(d.key), 32) for d in shown[:MOST]), default=0)
    for d in shown[:MOST]:
        yield from t.wrap(
            f"{_value(d, 'base')} {arrow} {_value(d, 'other')}", indent=width + 4, first=f"  {t.plain(d.key)[:width]}"
        )
    if len(shown) > MOST:
        yield f"  … {len(shown) - MOST} more: --format json"
    yield ""


def _value(d: SettingDifference, side: str) -> str:
    if d.missing == side:
        return "(not set)"
    value = d.base if side == "base" else d.other
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _curves(c: Comparison, t: Terminal, arrow: str) -> Iterator[str]:
    told = [d for d in c.curves if d.outcome != "too few points"]
    yield t.paint("Curves", "bold") + (
        "  at equal steps, late in what both have" if told else "  no metric of both runs can be compared"
    )
    width = max((min(len(d.name), 28) for d in told[:MOST]), default=0)
    several = len({d.stage for d in told}) > 1
    for d in told[:MOST]:
        name = t.plain(d.name)
        name = (name if len(name) <= width else name[: width - 1] + "…").ljust(width)
        stage = f" [{t.plain(d.stage)}]" if several else ""
        yield f"  {name}  {t.paint(WORDS[d.outcome], STYLES[d.outcome])}{stage}  {exact(_short(d.base))} {arrow} {exact(_short(d.other))}  {_change(d)}"
        for line in _best(d):
            yield from t.wrap(line, indent=width + 6, first=" " * (width + 4))
    if len(told) > MOST:
        yield f"  … {len(told) - MOST} more: --format json"
    few = len(c.curves) - len(told)
    if few:
        yield f"  {plural(few, 'metric')} with too few points in common to compare"
    yield ""


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _change(d: CurveDifference) -> str:
    if d.difference is None or d.error is None:
        return ""
    relative = f", {d.relative:+.1%}" if d.relative is not None and abs(d.relative) < 100 else ""
    return f"({d.difference:+.3g} ± {d.error:.2g}{relative}; {d.axis} {short(round(d.start or 0))} to {short(round(d.end or 0))})"


def _best(d: CurveDifference) -> Iterator[str]:
    """Who comes to the best of the other, and when: said only where the curves differ."""
    if d.outcome not in ("better", "worse"):
        return
    for who, level, at in (
        ("the other", d.base_best, d.reaches_base_best),
        ("the base", d.other_best, d.reaches_other_best),
    ):
        whose = "the base's" if who == "the other" else "the other's"
        when = f"at {d.axis} {short(round(at))}" if at is not None else "never"
        yield f"{who} comes to {whose} best level, {exact(_short(level))}, {when}"


def _findings(title: str, found: Sequence[FindingDifference], t: Terminal) -> Iterator[str]:
    if not found:
        return
    yield t.paint(title, "bold")
    for f in found[:MOST]:
        yield from t.wrap(f"{f.severity}  {f.rule} {f.name}: {f.message}", indent=6, first="  ")
    if len(found) > MOST:
        yield f"  … {len(found) - MOST} more: --format json"
    yield ""
