"""What a run of rounds says of itself."""

from __future__ import annotations

from tests.faults.catalogue import catalogue
from tests.faults.report import line_of, markdown_of, report_of
from tests.faults.round_result import RoundResult


def result(fault: str, *, in_flight: int = 100, recovery_seconds: float | None = 2.0, lost: int = 0) -> RoundResult:
    """A round with 1000 acked readings."""
    return RoundResult(fault, "1", in_flight, acked=1000, lost=lost, recovery_seconds=recovery_seconds)


def test_a_run_is_summed_up() -> None:
    """Recovery as median and maximum, each round by its fault."""
    report = report_of([result("a"), result("b", recovery_seconds=4.0), result("c", lost=3)], seed="1", seconds=60)

    assert (report["rounds"], report["passed"], report["acked"], report["lost"]) == (3, 2, 3000, 3)
    assert report["recovery_seconds"] == {"median": 2.0, "max": 4.0, "missing": 0}
    assert [(each["fault"], each["passed"]) for each in report["by_fault"]] == [("a", True), ("b", True), ("c", False)]


def test_a_round_without_frames_in_flight_is_void() -> None:
    """It is listed, passes nothing and counts for nothing."""
    report = report_of([result("a"), result("b", in_flight=0, recovery_seconds=0.1)], seed="1", seconds=60)

    assert (report["rounds"], report["void"], report["passed"], report["acked"]) == (1, 1, 1, 1000)
    assert report["recovery_seconds"]["median"] == 2.0


def test_a_round_is_void_when_one_of_its_blows_met_nothing() -> None:
    """Others do not stand in for it; what is told is the least that a blow met."""
    met, missed = RoundResult("a", "1"), RoundResult("b", "1")
    for in_flight in (300, 200):
        met.hit(in_flight)
    for in_flight in (300, 0, 200):
        missed.hit(in_flight)

    assert (met.in_flight, met.is_void) == (200, False)
    assert (missed.in_flight, missed.is_void) == (0, True)


def test_a_round_passes_only_when_everything_is_right() -> None:
    """Nothing lost or doubled, no complaint, and recovered within ten seconds."""
    assert result("a").has_passed
    assert not result("a", lost=1).has_passed
    assert not result("a", recovery_seconds=10.1).has_passed
    assert not result("a", recovery_seconds=None).has_passed
    complained = result("a")
    complained.problems.append("something")
    assert not complained.has_passed
    assert "something" in line_of(complained)


def test_the_table_has_a_row_a_round() -> None:
    """And says above it what came out."""
    table = markdown_of(report_of([result("a"), result("b", recovery_seconds=None)], seed="1", seconds=90))

    assert table.startswith("1 of 2 rounds passed in 1.5 minutes: 2,000 readings acked, 0 lost, 0 doubled")
    assert table.count("\n| a |") == table.count("\n| b |") == 1


def test_there_are_enough_rounds_and_each_has_a_name_of_its_own() -> None:
    """Every server and every service is killed and ended."""
    names = [fault.name for fault in catalogue()]

    assert len(names) == len(set(names)) >= 25
    programs = ("gateway", "ingestion", "billing", "analytics", "rabbitmq", "mongodb", "redis")
    assert {f"{verb} {name}" for verb in ("kill", "end") for name in programs} <= set(names)
