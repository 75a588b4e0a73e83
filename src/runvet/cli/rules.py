"""`runvet rules`."""

from __future__ import annotations

import click


@click.command("rules")
@click.argument("words", nargs=-1, metavar="[RULES]...")
def command(words: tuple[str, ...]) -> None:
    """List what runvet checks: all rules, or those of the families, codes or names given."""
    from runvet import engine, pages

    rules = [r for r in engine.collect() if not words or any(engine.matches(r, w) for w in words)]
    family = ""
    for rule, (code, name, level, sentence) in zip(rules, pages.table(rules), strict=True):
        if rule.family != family:
            family = rule.family
            click.echo(("\n" if rule is not rules[0] else "") + f"{family}: {pages.FAMILIES.get(family, '')}")
        click.echo(f"  {code:8} {name:28} {level:9} {sentence}")
    if not rules:
        raise click.UsageError(f"no rule matches {' '.join(words)}; `runvet rules` lists all")
