"""What a run has found, as figures for a file and as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from tests.faults.round_result import RoundResult


def report_of(results: Sequence[RoundResult], *, seed: str, seconds: float) -> dict[str, Any]:
    """The report; void rounds are listed and count for nothing."""
    valid = [result for result in results if not result.is_void]
    recoveries = [result.recovery_seconds for result in valid if result.recovery_seconds is not None]
    return {
        "rounds": len(valid),
        "void": len(results) - len(valid),
        "passed": sum(result.has_passed for result in valid),
        "acked": sum(result.acked for result in valid),
        "lost": sum(result.lost for result in valid),
        "doubled": sum(result.doubled for result in valid),
        "recovery_seconds": {
            "median": round(median(recoveries), 2) if recoveries else None,
            "max": max(recoveries, default=None),
            "missing": sum(result.recovery_seconds is None for result in valid),
        },
        "seed": seed,
        "seconds": round(seconds, 1),
        "by_fault": [{**asdict(result), "passed": result.has_passed} for result in results],
    }


def line_of(result: RoundResult) -> str:
    """One round in one line, with a line for each problem."""
    recovery = "-" if result.recovery_seconds is None else f"{result.recovery_seconds:.1f} s"
    verdict = "void" if result.is_void else "ok" if result.has_passed else "FAILED"
    line = (
        f"{result.fault:<30} {verdict:<6} in flight {result.in_flight:>5}  acked {result.acked:>6}  "
        f"lost {result.lost}  doubled {result.doubled}  recovery {recovery:>6}  red: {', '.join(result.red) or '-'}"
    )
    figures = ", ".join(f"{name} {figure:g}" for name, figure in result.figures.items())
    return "\n".join(
        [line, *([f"    {figures}"] if figures else []), *(f"    {problem}" for problem in result.problems)]
    )


def summary_of(report: dict[str, Any]) -> str:
    """The whole run in a sentence."""
    recovery = report["recovery_seconds"]
    return (
        f"{report['passed']} of {report['rounds']} rounds passed in {report['seconds'] / 60:.1f} minutes: "
        f"{report['acked']:,} readings acked, {report['lost']} lost, {report['doubled']} doubled; "
        f"recovery median {_seconds(recovery['median'])}, at most {_seconds(recovery['max'])}."
    )


def markdown_of(report: dict[str, Any]) -> str:
    """The same with a table of the rounds, for the README."""
    rows = ["| round | in flight | acked | lost | doubled | recovery |", "|---|--:|--:|--:|--:|--:|"]
    rows += [
        f"| {each['fault']} | {each['in_flight']:,} | {each['acked']:,} | {each['lost']} | {each['doubled']} "
        f"| {_seconds(each['recovery_seconds'])} |"
        for each in report["by_fault"]
    ]
    return "\n".join([summary_of(report), "", *rows])


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
