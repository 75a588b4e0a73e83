"""Precision and recall of the verdict and of every rule on the labelled corpora, into docs/accuracy.md.

    python tools/accuracy.py SHARED_FOLDER

The folder holds `corpus/logs*/LABELS.json` ({name: {"label": "sick" | "healthy" | "unclear", "why": …}}) and
`cases/*/expect.json`. A rule's hit on a sick log counts as true only in the sense of the label: the log is sick.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from runvet.api import check
from runvet.config import Config

DOCS = Path(__file__).parent.parent / "docs"


def judged(path: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Verdict and (code, name, severity) of each finding that isn't a mere consequence."""
    report = check(path, Config())
    return report.verdict, sorted({(f.rule, f.name, f.severity) for f in report.findings})


def first_of(path: str) -> tuple[str, str, list[str], str]:
    """Verdict, first finding, codes of the critical ones and the trusted checkpoint of a case with its own configuration."""
    report = check(path)
    first = report.findings[0] if report.findings else None
    critical = [f.rule for f in report.findings if f.severity == "critical"]
    trusted = report.trusted_checkpoint
    return (
        report.verdict,
        f"{first.rule} {first.name}" if first else "",
        critical,
        str(trusted.step if trusted.step is not None else Path(trusted.path).name) if trusted else "",
    )


def labelled(shared: Path) -> list[tuple[str, str, str]]:
    """(corpus, name, label) of every labelled log."""
    out = []
    for folder in sorted((shared / "corpus").glob("logs*")):
        labels: dict[str, dict[str, Any]] = json.loads((folder / "LABELS.json").read_text(encoding="utf-8"))
        out += [(folder.name, name, entry["label"]) for name, entry in labels.items()]
    return out


def main() -> int:
    """Judge everything and write the page; 2 where the corpora are missing."""
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared")
    if not (shared / "corpus").is_dir():
        print(f"{shared}/corpus is not there: nothing to measure", file=sys.stderr)
        return 2
    logs = labelled(shared)
    paths = [str(shared / "corpus" / corpus / name) for corpus, name, _ in logs]
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(judged, paths))
    cases = sorted(str(folder / "run") for folder in (shared / "cases").glob("*") if (folder / "run").is_dir())
    with ProcessPoolExecutor(2) as pool:
        told = list(pool.map(first_of, cases))
    text = page(logs, results) + cases_page([Path(case).parent.name for case in cases], told)
    (DOCS / "accuracy.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def page(logs: list[tuple[str, str, str]], results: list[tuple[str, list[tuple[str, str, str]]]]) -> str:
    """The page in Markdown."""
    total: Counter[tuple[str, str]] = Counter()
    per_rule: dict[tuple[str, str], Counter[str]] = {}
    for (_, _, label), (verdict, findings) in zip(logs, results, strict=True):
        total[label, verdict] += 1
        for code, name, severity in findings:
            per_rule.setdefault((code, name), Counter())[f"{label} {severity}"] += 1
    sick = sum(n for (label, _), n in total.items() if label == "sick")
    found = total["sick", "critical"] + total["sick", "suspect"]
    healthy = sum(n for (label, _), n in total.items() if label == "healthy")
    lines = [
        "# Accuracy",
        "",
        "Written by `make accuracy`. The corpora are public logs, labelled by hand; thresholds were chosen with these logs in",
        "view, so the figures are in-sample: expect somewhat worse on logs that nobody has seen.",
        "",
        f"- {found} of {sick} sick logs carry a finding ({total['sick', 'critical']} critical).",
        f"- {total['healthy', 'critical']} of {healthy} healthy logs are called critical, {total['healthy', 'suspect']} carry a warning.",
        f"- {sum(n for (label, _), n in total.items() if label == 'unclear')} logs have no clear label and count for neither.",
        "",
        "| rule | sick: critical | sick: warning | healthy: critical | healthy: warning | unclear | precision | recall |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for (code, name), c in sorted(per_rule.items()):
        hits = c["sick critical"] + c["sick warning"]
        false = c["healthy critical"] + c["healthy warning"]
        precision = f"{hits / (hits + false):.2f}" if hits + false else "-"
        unclear = c["unclear critical"] + c["unclear warning"]
        lines.append(
            f"| {code} {name} | {c['sick critical']} | {c['sick warning']} | {c['healthy critical']} | {c['healthy warning']}"
            f" | {unclear} | {precision} | {hits / max(sick, 1):.2f} |"
        )
    lines += [
        "",
        "Recall is the share of all sick logs, whatever their disease: a rule is not meant to find every disease.",
        "",
    ]
    lines += ["| corpus | log | label | verdict | findings |", "| --- | --- | --- | --- | --- |"]
    for (corpus, name, label), (verdict, findings) in zip(logs, results, strict=True):
        codes = " ".join(f"{code}{'!' if severity == 'critical' else ''}" for code, _, severity in findings)
        lines.append(f"| {corpus} | {name.split('_')[0]} | {label} | {verdict} | {codes} |")
    return "\n".join([*lines, ""])


def cases_page(names: list[str], told: list[tuple[str, str, list[str], str]]) -> str:
    """The founding cases and their healthy twins: curves, checkpoints, samples, data and environment together."""
    lines = [
        "## Cases",
        "",
        "The five founding cases, rebuilt, and a healthy twin of each. What each lab's sick and healthy trainings are judged as",
        "stands in [labs](labs/README.md); every rule has sick and healthy examples that the tests judge.",
        "",
        "| case | verdict | first finding | critical | trusted step |",
        "| --- | --- | --- | --- | --: |",
    ]
    for name, (verdict, first, critical, step) in zip(names, told, strict=True):
        lines.append(f"| {name} | {verdict} | {first} | {' '.join(critical)} | {step} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
