"""The report of the benchmark: the five named keys of every row, void rows, aims, and the table of the README."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadgen import cli
from loadgen.bench import report
from loadgen.bench.bench import in_report_order
from loadgen.bench.command import bench_settings
from loadgen.bench.cost_rows import memory_rows
from loadgen.bench.row import AIMS, Row, void_row
from loadgen.bench.settings import FULL, QUICK

MACHINE = {"cores": 2, "cpu": "a processor", "memory_megabytes": 8000, "python": "3.11", "load_average_before": [0.1]}
FAST = Row(
    "stream_ack_500", 210_400.7, "readings/s", {"echo": 900_000, "publish": 400_123.4}, aim=AIMS["stream_ack_500"]
)
SLOW = Row("unary", 500.0, "readings/s", {"echo": 1000.0}, aim=AIMS["unary"], cpu_shares={"gateway": 0.9})
VOID = void_row("end_to_end", "readings/s", "the log lacks 3 of the acked readings")
ENVIRONMENT = {"AMQP_URL": "amqp://x", "MONGO_URL": "mongodb://x", "GRIDMESH_RUN_DIR": "/run-of/mesh"}


def test_the_slowest_limit_is_the_limit_and_the_ratio_is_to_it() -> None:
    """Rounded to what a few seconds can tell."""
    shown = FAST.as_json()

    assert {key: shown[key] for key in ("name", "value", "unit", "limit", "ratio")} == {
        "name": "stream_ack_500",
        "value": 210_400,
        "unit": "readings/s",
        "limit": 400_100,
        "ratio": 0.5258,
    }
    assert shown["aim_met"] is True


def test_an_aim_at_a_ratio_is_missed_below_it() -> None:
    """Unary calls should reach 0.7 of the echo."""
    assert (SLOW.as_json()["ratio"], SLOW.as_json()["aim_met"]) == (0.5, False)


def test_a_void_row_has_no_value_and_says_why() -> None:
    """Limit and ratio are null where there is none."""
    shown = VOID.as_json()

    assert (shown["value"], shown["limit"], shown["ratio"], shown["aim_met"]) == (None, None, None, False)
    assert shown["void"] == "the log lacks 3 of the acked readings"


def test_memory_of_services_has_an_aim_and_that_of_servers_has_none() -> None:
    """Services stand first."""
    found = memory_rows({"mongodb": 800.0, "billing": 299.0, "gateway": 301.0})

    assert [(row.name, row.as_json().get("aim_met")) for row in found] == [
        ("memory_billing", True),
        ("memory_gateway", False),
        ("memory_mongodb", None),
    ]


def test_a_report_comes_back_from_its_file_as_a_table(tmp_path: Path) -> None:
    """One line a row in Markdown, void ones with their reason, and the machine below."""
    path = tmp_path / "bench" / "report.json"
    report.write(report.as_json([FAST, SLOW, VOID], MACHINE, notes=["A note."]), path)

    lines = report.markdown(report.read(path)).splitlines()

    assert json.loads(path.read_text())["machine"]["cores"] == 2
    assert lines[2] == ("| stream_ack_500 | 210,400 | readings/s | 400,100 | 0.526 | >= 200,000, ratio >= 0.5 | yes |")
    assert lines[3] == "| unary | 500 | readings/s | 1,000 | 0.5 | ratio >= 0.7 | no |"
    assert lines[4].startswith("| end_to_end | void: the log lacks 3 of the acked readings | readings/s |")
    assert "2 cores" in lines[6]
    assert lines[7] == "A note."


def test_the_table_of_a_terminal_shows_who_used_the_processor() -> None:
    """So that the next bottleneck is plain."""
    shown = report.table(report.as_json([FAST, SLOW], MACHINE))

    assert "unary: gateway 0.90" in shown


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"rows": []}'])
def test_what_is_no_report_is_refused(tmp_path: Path, content: str | None) -> None:
    """The text names the file."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ValueError, match="is no report"):
        report.read(path)


def test_a_run_takes_its_folders_from_the_local_stack() -> None:
    """The report goes beside the mesh unless another place is named."""
    parsed = cli.parser({}).parse_args(["bench", "--quick", "--only", "unary"])

    settings = bench_settings(parsed, ENVIRONMENT)

    assert (settings.run_dir, settings.report) == (Path("/run-of/mesh"), Path("/run-of/mesh/bench/report.json"))
    assert settings.durations is QUICK
    assert [settings.is_wanted(name) for name in ("unary", "merged")] == [True, False]
    full = bench_settings(cli.parser({}).parse_args(["bench"]), {**ENVIRONMENT, "GRIDMESH_REPORTS_DIR": "/reports"})
    assert (full.durations, full.report) == (FULL, Path("/reports/bench/report.json"))
    assert full.is_wanted("merged")


def test_outside_of_the_local_stack_nothing_is_measured() -> None:
    """The text names what is missing."""
    parsed = cli.parser({}).parse_args(["bench"])

    with pytest.raises(ValueError, match="AMQP_URL, GRIDMESH_RUN_DIR not set"):
        bench_settings(parsed, {"MONGO_URL": "mongodb://x"})


def test_rows_are_read_in_one_order_however_they_were_measured() -> None:
    """What floods the mesh is measured last and stands first."""
    names = ["unary", "cost_per_reading_1000", "end_to_end", "cost_per_reading_10000", "stream_ack_1", "stream_ack_500"]

    found = [row.name for row in in_report_order([void_row(name, "", "a test") for name in names])]

    assert found == [
        *("stream_ack_500", "stream_ack_1", "unary", "end_to_end"),
        *("cost_per_reading_1000", "cost_per_reading_10000"),
    ]
