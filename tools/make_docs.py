"""Write the rule pages and their index from the rules themselves; `--check` fails where they are out of step."""

from __future__ import annotations

import sys
from pathlib import Path

from runvet import engine, pages

DOCS = Path(__file__).parent.parent / "docs"


def wanted() -> dict[Path, str]:
    """Every generated file with its text."""
    rules = engine.collect()
    out = {DOCS / "rules" / f"{rule.code}.md": pages.page(rule) for rule in rules}
    lines = [
        "# Rules",
        "",
        "Written by `make docs` from the rules themselves. `runvet explain CODE` shows the same pages.",
        "",
    ]
    family = ""
    for rule, (code, name, level, sentence) in zip(rules, pages.table(rules), strict=True):
        if rule.family != family:
            family = rule.family
            lines += [
                "",
                f"## {family}: {pages.FAMILIES.get(family, '')}",
                "",
                "| code | name | level | |",
                "| --- | --- | --- | --- |",
            ]
        lines.append(f"| [{code}]({code}.md) | {name} | {level} | {sentence} |")
    out[DOCS / "rules" / "README.md"] = "\n".join([*lines, ""])
    return out


def main() -> int:
    """Write, or with --check compare; 1 where something differs."""
    files = wanted()
    old = set((DOCS / "rules").glob("*.md"))
    stale = [p for p, text in files.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    dead = sorted(old - set(files))
    if "--check" in sys.argv:
        for path in [*stale, *dead]:
            print(f"{path.relative_to(DOCS.parent)} is out of step: run `make docs`")
        return int(bool(stale or dead))
    (DOCS / "rules").mkdir(parents=True, exist_ok=True)
    for path in dead:
        path.unlink()
    for path in stale:
        path.write_text(files[path], encoding="utf-8")
    print(f"{len(stale)} pages written, {len(dead)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
