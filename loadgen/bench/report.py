"""The report as a file for programs, as a table for a terminal, and as the table of the README."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadgen.bench.row import Row

Report = Mapping[str, Any]

_LEAST_SHARE = 0.005
# From here on a figure is shown without decimals.
_WHOLE_FROM = 1000


def as_json(rows: Sequence[Row], machine: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The whole report as plain JSON values."""
    return {"machine": dict(machine), "rows": [row.as_json() for row in rows], **more}


def write(report: Report, path: Path) -> None:
    """Writes the report where programs look for it, making the folder; OSError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Report:
    """A report that was written before.

    Raises:
        ValueError: the file is none, or is not there.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as problem:
        raise ValueError(f"{path} is no report: {problem}") from problem
    if not isinstance(report, dict) or not {"machine", "rows"} <= report.keys():
        raise ValueError(f"{path} is no report: it has no machine and rows")
    return report


def table(report: Report) -> str:
    """The rows for a terminal, with what else is to be said."""
    return "\n".join([*_aligned(_cells(report)), "", *_bottlenecks(report), *_about(report), ""])


def markdown(report: Report) -> str:
    """The rows as a table in Markdown, with the machine below."""
    header, *cells = _cells(report)
    lines = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *cells)]
    return "\n".join([*lines, "", *_about(report), ""])


def _cells(report: Report) -> Iterator[list[str]]:
    yield ["what", "value", "unit", "bare limit", "ratio", "aim", "met"]
    for row in report["rows"]:
        met = {True: "yes", False: "no", None: ""}[row.get("aim_met")]
        value = _number(row["value"]) or f"void: {row.get('void', 'not measured')}"
        yield [row["name"], value, row["unit"], _number(row["limit"]), _number(row["ratio"]), row.get("aim", ""), met]


def _aligned(cells: Iterator[list[str]]) -> Iterator[str]:
    rows = list(cells)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _bottlenecks(report: Report) -> Iterator[str]:
    yield "CPU by part, shares of one core (CPU us a reading):"
    for row in report["rows"]:
        if shares := row.get("cpu_shares"):
            costs = row.get("cpu_microseconds", {})
            busiest = sorted(shares.items(), key=lambda item: -item[1])
            parts = (
                f"{part} {share:.2f} ({costs.get(part, 0.0):.1f})" for part, share in busiest if share >= _LEAST_SHARE
            )
            yield f"  {row['name']}: {', '.join(parts)}"


def _about(report: Report) -> Iterator[str]:
    machine = report["machine"]
    others = ", ".join(f"{name} {share:.2f}" for name, share in machine.get("others_cpu_shares", {}).items())
    yield (
        f"Measured on {machine.get('cores')} cores ({machine.get('cpu')}), {machine.get('memory_megabytes'):,} MB, "
        f"Python {machine.get('python')}, load generator included. Load average before: "
        f"{machine.get('load_average_before')}. Meanwhile, in shares of one core: "
        f"all work {machine.get('busy_share', 0.0):.2f}, taken by the host {machine.get('stolen_share', 0.0):.2f}, "
        f"other processes: {others or 'none'}."
    )
    yield from report.get("notes", ())


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return f"{value:.3g}"
