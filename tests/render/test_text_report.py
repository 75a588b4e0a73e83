"""The text report: what a cause explains is told with its numbers, held-out metrics stand beside the loss, a run is stopped once."""

from __future__ import annotations

from runvet import report as r
from runvet import verdict
from runvet.render import text
from runvet.render.terminal import Terminal
from runvet.report import Action, Finding, Report, SeriesSummary, StageSummary


def finding(rule: str, message: str, stage: str | None = "a", caused_by: str | None = None) -> Finding:
    return Finding(rule, f"name-of-{rule.lower()}", "critical", stage, message, caused_by=caused_by)


def series(name: str, role: str | None, first: float, last: float, points: int = 7) -> SeriesSummary:
    return SeriesSummary(name, role, points, first, last, min(first, last), max(first, last), last)


def drawn(*found: Finding, series: tuple[SeriesSummary, ...] = ()) -> str:
    stage = StageSummary("a", "critical", steps=r.Steps(0, 10), lead="loss" if series else None, series=series)
    return text.render(Report("0", "p", "critical", (stage,), found), Terminal(width=200))


def test_explained_findings_keep_their_numbers() -> None:
    told = drawn(
        finding("GEN103", "34 ids"),
        finding("GEN101", "10 cells against 138", caused_by="GEN103"),
        finding("GEN102", "parts hold 0.10", caused_by="GEN101"),
    )
    assert "explains GEN101 name-of-gen101: 10 cells against 138" in told
    assert "explains GEN102 name-of-gen102: parts hold 0.10" in told
    assert told.count("parts hold 0.10") == 1


def test_a_cause_of_the_whole_run_explains_findings_of_stages() -> None:
    told = drawn(finding("ENV101", "two checkouts", None), finding("LOSS101", "it rises", caused_by="ENV101"))
    assert told.index("two checkouts") < told.index("explains LOSS101 name-of-loss101: it rises")


def test_findings_that_explain_each_other_are_told_once() -> None:
    told = drawn(
        finding("A101", "first"), finding("A102", "second", caused_by="A101"), finding("A103", "third", caused_by="A102"),
        finding("A104", "fourth", caused_by="A103"), finding("A105", "fifth", caused_by="A105"),
    )  # fmt: skip
    assert [told.count(word) for word in ("first", "second", "third", "fourth")] == [1, 1, 1, 1]


def test_only_findings_that_are_not_drawn_are_counted_as_more() -> None:
    causes = [finding(f"A1{i:02d}", f"cause {i}") for i in range(9)]
    followers = [finding(f"B1{i:02d}", f"follower {i}", caused_by="A100") for i in range(5)]
    assert "more findings" not in drawn(*causes, *followers)
    assert "… 2 more findings" in drawn(*causes, *(finding(f"C1{i:02d}", "x") for i in range(3)), *followers)


def test_held_out_metrics_and_accuracy_stand_beside_the_loss() -> None:
    loss, test = series("loss", "train_loss", 22.5, 6.35), series("test/loss", "test_loss", 44.0947, 43.7405)
    told = drawn(series=(loss, test, series("train_acc", "train_accuracy", 0.25, 0.995), series("lr", "lr", 1, 0)))
    assert "test/loss 44.0947 → 43.7405 (7 values)" in told
    assert "train_acc 0.25 → 0.995 (7 values)" in told
    assert "lr 1" not in told
    assert "test/loss 42.25\n" in drawn(series=(loss, series("test/loss", "test_loss", 42.25, 42.25, points=1)))


def test_a_run_is_stopped_once() -> None:
    asks = [
        Finding("LOSS101", "rising-loss", "critical", "a", "", actions=(Action("Stop: it rises", "now", "stop"), Action("Lower the rate"))),
        Finding("GEN104", "blank-samples", "critical", "a", "", actions=(Action("Stop: it draws nothing", "now", "stop"),)),
        Finding("GEN104", "blank-samples", "critical", "b", "", actions=(Action("Stop b", "now", "stop"),)),
    ]  # fmt: skip
    planned = verdict.actions(asks)
    assert [(a.order, a.do, a.why) for a in planned] == [
        (1, "Stop: it rises", ("LOSS101", "GEN104")),
        (2, "Stop b", ("GEN104",)),
        (3, "Lower the rate", ("LOSS101",)),
    ]
    assert {a.stage for a in planned} == {"a", "b"}


def test_a_consequence_sends_back_no_further_than_its_cause() -> None:
    def back(at: int) -> Action:
        return Action(f"Go back to step {at}", "what was trained since", "keep")

    asks = [
        Finding("LOSS101", "rising-loss", "critical", "a", "", actions=(back(100), Action("Lower the rate"))),
        Finding("LOSS102", "lost-progress", "warning", "a", "", actions=(back(300),), caused_by="LOSS101"),
        Finding("GEN113", "policy-collapse", "warning", "a", "", actions=(back(200),)),
    ]
    assert [(a.do, a.why) for a in verdict.actions(asks)] == [
        ("Go back to step 100", ("LOSS101", "LOSS102")),
        ("Lower the rate", ("LOSS101",)),
        ("Go back to step 200", ("GEN113",)),
    ]
