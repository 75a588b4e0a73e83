"""Every checkpoint below a path with what the rules say of it: what `runvet checkpoints` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runvet import report
from runvet.checkpoints import contract
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.problems import Problem
from runvet.report import Finding, Report


@dataclass(frozen=True, slots=True)
class Row:
    """One checkpoint with what its siblings say about it.

    `changed` is the share of the model's weights (by tensors) that differ from the save before, None where there is
    none or values were not read. `resume` are the parts of the training state that it holds. `copy_of` is the path of
    the save that it repeats. `writing` where it may still be being written: then it is not judged.
    """

    checkpoint: Checkpoint
    stage: str
    changed: float | None = None
    resume: tuple[str, ...] = ()
    copy_of: str = ""
    writing: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """All checkpoints of a path, the findings about them, the one to trust, and what a manifest says (`verified`).

    `verified` is None where no manifest was asked for.
    """

    path: str
    rows: tuple[Row, ...]
    report: Report
    verified: tuple[Problem, ...] | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings about checkpoints."""
        return self.report.findings

    @property
    def status(self) -> int:
        """Exit status: 0 all fine, 1 something is wrong, 2 nothing could be judged."""
        if self.findings or self.verified or any(r.checkpoint.usable is False and not r.writing for r in self.rows):
            return 1
        return 0 if any(r.checkpoint.usable for r in self.rows) else 2


def to_dict(made: Audit) -> dict[str, Any]:
    """The JSON contract of `runvet checkpoints PATH --format json`, schema_version 1."""
    told = contract.to_json(made.path, ())
    plain = report.to_dict(made.report)
    told["trusted"] = plain["trusted_checkpoint"]
    told["checkpoints"] = [_entry(row) for row in made.rows]
    told |= {
        "verdict": plain["verdict"],
        "findings": plain["findings"],
        "actions": plain["actions"],
        "checks": plain["checks"],
    }
    if made.verified is not None:
        told["verified"] = [{"rule": p.code, "name": p.name, "message": p.message} for p in made.verified]
    return told


def _entry(row: Row) -> dict[str, Any]:
    return contract.entry(row.checkpoint) | {
        "stage": row.stage,
        "changed": row.changed,
        "resume": list(row.resume),
        "copy_of": row.copy_of or None,
        "writing": row.writing,
    }
