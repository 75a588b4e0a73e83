"""A report whose every text is hostile, for tests of renderers."""

from __future__ import annotations

from runvet.report import (
    Action,
    Checks,
    Finding,
    Measure,
    PlannedAction,
    ReadProblem,
    Report,
    SeriesSummary,
    StageSummary,
    Steps,
    Unchecked,
    Window,
)

EVIL = "<script>alert(1)</script> ]]> & \"q\" 'a' %0A::error::x | `b` **c** [d](http://evil.example) @octocat #12 <!-- \n::set-output name=x::y\r\x00\x1b[31m\u202e\ud7ff\ufffe 100%: a,b"


def report(*, findings: int = 1, path: str = "runs/" + EVIL.replace("\n", " ")) -> Report:
    """One stage, some findings, one of everything else."""
    found = tuple(
        Finding(
            f"LOSS{101 + i % 3}", "rising-loss", "critical" if i % 2 == 0 else "warning", EVIL, EVIL,
            (Measure(EVIL, EVIL, EVIL, "train.log:12"), Measure("infinite", float("inf"), None, None)),
            since_step=3, innocent=EVIL, actions=(Action(EVIL, EVIL, "stop"),), window=Window(EVIL, 1, 2),
        )
        for i in range(findings)
    )  # fmt: skip
    stage = StageSummary(
        EVIL,
        "critical",
        EVIL,
        Steps(0, 10, 20),
        EVIL,
        (),
        (SeriesSummary(EVIL, "train_loss", 3, 1.0, 2.0, 1.0, 2.0, 1.5),),
        sources=("train.log",),
    )
    gap = Unchecked("SYS105", "idle-accelerator", EVIL, EVIL, EVIL)
    return Report(
        "0.1.0", path, "critical" if findings else "sound", (stage,), found, (PlannedAction(1, EVIL, ("LOSS101",), EVIL, EVIL),),
        checks=Checks(3, 5, (gap,), (gap,), (gap,), ("LOSS104",), (gap,)), problems=(ReadProblem(EVIL, EVIL, EVIL),), reading={"seconds": 1.0},
    )  # fmt: skip
