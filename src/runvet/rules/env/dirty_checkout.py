"""ENV102 dirty-checkout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runvet import examples
from runvet.evidence.environments import Environments
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Setting, Stage


@rule("ENV102", "dirty-checkout", level="warning", since="0.1")
def dirty_checkout(environments: Environments) -> Sick | Unsure | None:
    """The run went on from code with uncommitted changes, though it began from a clean commit.

    ## What it checks
    Environment records of at least two processes that say whether the checkout was dirty: an earlier one clean, a
    later one not.
    ## Why it matters
    What changed in the code during the run is recorded nowhere: a difference before and after the restart can't be
    traced.
    ## What to do
    Commit (or keep `git diff` beside the record) before resuming.
    ## When to ignore it
    The changed files do not take part in training.
    ## Known limits
    A run that was dirty from its first process on is spared: that is how many people work.
    ## References
    - W&B and MLflow record commit and patch for this reason.
    """
    records = [r for r in environments.records if r.dirty is not None]
    if len(records) < 2:
        return Unsure("fewer than two records say whether the checkout was clean", "record git status at every start")
    later = next((r for r in records[1:] if r.dirty), None)
    if later is None or records[0].dirty:
        return None
    commit = f" at commit {later.commit[:10]}" if later.commit else ""
    return Sick(
        f"the code had uncommitted changes{commit} in {later.source}, none in {records[0].source}",
        evidence=(
            Measure("uncommitted changes at first", "no", None, records[0].source),
            Measure("uncommitted changes later", "yes", None, later.source),
        ),
        innocent="the changed files do not take part in training",
        actions=(Action("Keep `git diff` of the checkout that the run went on from", "a minute", "keep"),),
    )


def _stage(*dirty: bool) -> Stage:
    settings = [
        Setting(key, value, f"environment/env_{i}.json")
        for i, one in enumerate(dirty)
        for key, value in (("git_commit", "a" * 40), ("git_dirty", one))
    ]
    return replace(examples.stage(loss=examples.decay(200)), settings=tuple(settings))


def sick() -> Iterator[Stage]:
    """Clean at first, dirty later."""
    yield _stage(False, True)


def healthy() -> Iterator[Stage]:
    """Always clean, or dirty from the start."""
    yield _stage(False, False)
    yield _stage(True, True)
