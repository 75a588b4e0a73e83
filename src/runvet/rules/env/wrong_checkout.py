"""ENV101 wrong-checkout."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from runvet import examples
from runvet.evidence.environments import ABSOLUTE, Directory, Environment, Environments
from runvet.evidence.events import Events
from runvet.rules import BACK, Action, Measure, Sick, rule
from runvet.run import Plain, Setting, Stage

INSTALLED = re.compile(r"site-packages|dist-packages|[\\/]lib[\\/]python\d", re.IGNORECASE)


@rule("ENV101", "wrong-checkout", level="critical", since="0.1", explains=("ENV102",))
def wrong_checkout(environments: Environments, events: Events) -> Sick | None:
    """Processes of one run used different checkouts of the code.

    ## What it checks
    Directories that processes ran in (`cwd` in the log or in environment records), git commits, and the files that
    project packages were imported from, over all processes of the run. A directory within another is the same
    checkout; packages in site-packages are left alone. Critical where the directory changed and the commit or an
    imported file with it; a warning where only one of them did.
    ## Why it matters
    Weights trained by one version of the code go on in another: model, data set and loss may differ silently, and
    what the run shows belongs to no version that can be checked out again.
    ## What to do
    Compare the two checkouts; go on from the last checkpoint of the right one. Print `module.__file__` and the commit
    at every start.
    ## When to ignore it
    The folder was moved or copied as it is, or the commits differ in nothing that training uses.
    ## Known limits
    Sees only what the run recorded. Uncommitted changes are seen only where the record says `dirty`.
    ## References
    - Failure reports: equinor/ert#1844, pypa/pip#4261, pypa/setuptools#1005.
    """
    records = environments.records
    roots = _roots([Directory(r.cwd, r.source) for r in records if r.cwd] + list(environments.directories))
    commits = _distinct([(r.commit, r.source) for r in records if r.commit])
    imports = _moved(records)
    if len(roots) < 2 and len(commits) < 2 and not imports:
        return None
    parts, evidence = [], []
    if len(roots) > 1:
        parts.append("directory " + " and ".join(r.path for r in roots))
        evidence += [Measure("working directory", r.path, None, r.where) for r in roots]
    if len(commits) > 1:
        parts.append("commit " + " and ".join(c[:10] for c, _ in commits))
        evidence += [Measure("git commit", c, None, where) for c, where in commits]
    for name, old, new, where in imports:
        parts.append(f"package {name} from {old} and {new}")
        evidence.append(Measure(f"{name} imported from", f"{old} -> {new}", None, where))
    evidence += [
        Measure("project file outside the first directory", d.path, None, d.where) for d in _outside(events, roots)
    ]
    dirty = next((r for r in records if r.dirty), None)
    if dirty is not None:
        evidence.append(Measure("uncommitted changes", "yes", None, dirty.source))
    severe = len(roots) > 1 and (len(commits) > 1 or bool(imports))
    first = roots[0].path if roots else (commits[0][0][:10] if commits else imports[0][1])
    return Sick(
        "the run's processes used different checkouts of the code: " + "; ".join(parts),
        evidence=tuple(evidence),
        innocent="the folder was moved or copied as it is, or the commits differ in nothing that training uses",
        actions=(
            Action(
                f"Stop; go on in the environment and code of {first} alone: from the last checkpoint written there or, where"
                " none is left, from a later one only after its evaluation there gives the same numbers",
                BACK,
                "stop",
            )
            if severe
            else Action(f"Compare the code that each process used with that of {first}", "minutes", "measure"),
            Action(
                "Print cwd, git commit and module.__file__ at every start, and refuse to resume where they differ",
                "a few lines",
            ),
        ),
        level=None if severe else "warning",
    )


def _roots(told: Sequence[Directory]) -> list[Directory]:
    """Distinct directories in the order they were told; one within another counts as the same."""
    out: list[Directory] = []
    for one in told:
        path = PurePosixPath(one.path.replace("\\", "/"))
        if not any(
            path == o or o in path.parents or path in o.parents
            for o in (PurePosixPath(x.path.replace("\\", "/")) for x in out)
        ):
            out.append(one)
    return out


def _outside(events: Events, roots: Sequence[Directory], most: int = 3) -> list[Directory]:
    """Project files that tracebacks and warnings name outside the first directory, one a folder."""
    out: dict[PurePosixPath, Directory] = {}
    for event in events.of("import-path", "traceback") if roots else ():
        path = str(event.value)
        if ABSOLUTE.match(path) and not INSTALLED.search(path):
            parents = PurePosixPath(path).parents
            if PurePosixPath(roots[0].path) not in parents:
                out.setdefault(parents[0], Directory(path, event.where))
    return list(out.values())[:most]


def _distinct(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Commits that differ; a short form of another one is the same."""
    out: list[tuple[str, str]] = []
    for commit, where in pairs:
        if not any(c.startswith(commit) or commit.startswith(c) for c, _ in out):
            out.append((commit, where))
    return out


def _moved(records: Sequence[Environment]) -> list[tuple[str, str, str, str]]:
    """Packages whose file changed between two records: name, old and new path, place of the new one."""
    out = []
    for old, new in itertools.pairwise(records):
        for name, path in new.packages.items():
            before = old.packages.get(name)
            if before is None or before == path or not (ABSOLUTE.match(before) and ABSOLUTE.match(path)):
                continue
            if not (INSTALLED.search(before) and INSTALLED.search(path)):
                out.append((name, before, path, new.source))
    return out


def _stage(*records: dict[str, Plain], cwd: Sequence[str] = ()) -> Stage:
    events = [
        examples.event("work-dir", f"job dir: /out/{i}  cwd: {path}", line=1 + i, value=path)
        for i, path in enumerate(cwd)
    ]
    stage = examples.stage(loss=examples.decay(200), events=events, console=True)
    settings = [
        Setting(key, value, f"environment/env_{i}.json")
        for i, record in enumerate(records)
        for key, value in record.items()
    ]
    return replace(stage, settings=tuple(settings))


def sick() -> Iterator[Stage]:
    """Another directory, commit and import; another directory told by the log alone; another commit."""
    first: dict[str, Plain] = {"cwd": "/data/net", "git_commit": "a" * 40, "packages.net": "/data/net/net/__init__.py"}
    second: dict[str, Plain] = {
        "cwd": "/data/net3",
        "git_commit": "b" * 40,
        "packages.net": "/data/net3/net/__init__.py",
    }
    yield _stage(first, second)
    yield _stage(cwd=("/data/net", "/data/net3"))
    yield _stage({"git_commit": "a" * 40}, {"git_commit": "b" * 40})


def healthy() -> Iterator[Stage]:
    """The same checkout twice, a directory within it, a short commit, and another version of an installed package."""
    first: dict[str, Plain] = {
        "cwd": "/data/net",
        "git_commit": "a" * 40,
        "packages.torch": "/env/lib/python3.11/site-packages/torch/__init__.py",
    }
    moved: dict[str, Plain] = {**first, "packages.torch": "/env2/lib/python3.11/site-packages/torch/__init__.py"}
    yield _stage(first, first)
    yield _stage(first, {**first, "git_commit": "a" * 8, "cwd": "/data/net/scripts"})
    yield _stage(first, moved, cwd=("/data/net", "/data/net"))
