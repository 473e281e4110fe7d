"""The command line: what it asks for, its defaults, and what it refuses."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.instants import rfc3339
from loadgen import cli
from loadgen.main import main

NOW = datetime(2026, 3, 1, 12, 0, 30, 250_000, tzinfo=UTC)


def test_addresses_come_from_the_environment_unless_named() -> None:
    """An option wins over the environment, which wins over the default."""
    environment = {"GATEWAY_ADDRESS": "127.0.0.1:9", "BILLING_ADDRESS": "127.0.0.1:8"}

    parsed = cli.parser(environment).parse_args(["demo", "--billing", "127.0.0.1:7"])

    assert (parsed.gateway, parsed.billing, parsed.analytics) == ("127.0.0.1:9", "127.0.0.1:7", "127.0.0.1:50054")


def test_addresses_are_those_of_the_instance_that_the_environment_names() -> None:
    """As `make up` moves its ports, so that one variable is enough for both."""
    parsed = cli.parser({"GRIDMESH_INSTANCE": "3", "BILLING_ADDRESS": "127.0.0.1:8"}).parse_args(["demo"])

    assert (parsed.gateway, parsed.billing, parsed.analytics) == ("127.0.0.1:50351", "127.0.0.1:8", "127.0.0.1:50354")


def test_an_instance_that_cannot_be_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent."""
    code = main(["fleet"], {"GRIDMESH_INSTANCE": "many"}, sys.stdout)

    assert code != 0
    assert "GRIDMESH_INSTANCE must be a whole number" in capsys.readouterr().err


def test_the_demonstration_replays_the_file_that_the_environment_names() -> None:
    """An empty variable names none."""
    named = cli.parser({"DEMO_FILE": "house.txt", "DEMO_TIME_ZONE": "Europe/Paris"}).parse_args(["demo"])
    unnamed = cli.parser({"DEMO_FILE": " "}).parse_args(["demo"])

    assert (named.file, named.time_zone) == (Path("house.txt"), "Europe/Paris")
    assert (unnamed.file, unnamed.time_zone) == (None, None)


def test_without_a_start_the_simulated_time_ends_now() -> None:
    """24 hours by default, on whole minutes."""
    parsed = cli.parser({}).parse_args(["fleet"])

    start_ms, end_ms = cli.simulated_time(parsed, NOW)

    assert (rfc3339(start_ms), rfc3339(end_ms)) == ("2026-02-28T12:00:00.000Z", "2026-03-01T12:00:00.000Z")


def test_a_start_without_an_offset_is_local_to_the_fleet() -> None:
    """Midnight in India is 18:30 UTC of the day before."""
    parsed = cli.parser({}).parse_args(["fleet", "--start", "2026-03-01", "--hours", "0.5"])

    start_ms, end_ms = cli.simulated_time(parsed, NOW)

    assert (rfc3339(start_ms), rfc3339(end_ms)) == ("2026-02-28T18:30:00.000Z", "2026-02-28T19:00:00.000Z")


def test_a_start_with_an_offset_is_taken_as_it_is() -> None:
    """The offset wins over the fleet's zone."""
    parsed = cli.parser({}).parse_args(["fleet", "--start", "2026-03-01T00:00:00+01:00"])

    start_ms, _ = cli.simulated_time(parsed, NOW)

    assert rfc3339(start_ms) == "2026-02-28T23:00:00.000Z"


def test_a_live_fleet_starts_now() -> None:
    """With `--start now --speed 1` the fleet lives as the clock goes."""
    parsed = cli.parser({}).parse_args(["fleet", "--start", "now", "--speed", "1", "--hours", "1"])

    start_ms, _ = cli.simulated_time(parsed, NOW)

    assert rfc3339(start_ms) == "2026-03-01T12:00:00.000Z"
    assert cli.pacing(parsed).due_seconds(sent_count=0, simulated_ms=60_000) == 60.0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (["--hours", "0"], "--hours"),
        (["--start", "yesterday"], "isoformat"),
    ],
)
def test_a_time_that_is_none_is_refused(wrong: list[str], named: str) -> None:
    """The text names what is wrong."""
    parsed = cli.parser({}).parse_args(["fleet", *wrong])

    with pytest.raises(ValueError, match=named):
        cli.simulated_time(parsed, NOW)


def test_the_fleet_and_its_disturbances_are_as_asked_for() -> None:
    """Each option reaches its setting."""
    parsed = cli.parser({}).parse_args(
        [
            "fleet",
            "--meters",
            "3",
            "--vehicles",
            "2",
            "--packs",
            "1",
            "--sensors",
            "4",
            "--mode",
            "outage",
            "--seed",
            "9",
            "--interval",
            "15",
            "--duplicates",
            "0.1",
            "--late",
            "0.2",
            "--malformed",
            "0.3",
            "--rate",
            "50",
            "--streams",
            "2",
        ]
    )

    spec, shares = cli.fleet_spec(parsed), cli.shares(parsed)

    assert (spec.meters, spec.vehicles, spec.packs, spec.sensors, spec.seed) == (3, 2, 1, 4, 9)
    assert (spec.mode, spec.interval_ms) == ("outage", 15_000)
    assert (shares.duplicates, shares.late, shares.malformed) == (0.1, 0.2, 0.3)
    assert (cli.pacing(parsed).readings_per_second, parsed.streams) == (50, 2)


@pytest.mark.parametrize("command", ["fleet", "replay", "bill", "export", "demo"])
def test_every_option_has_a_help_text(command: str) -> None:
    """Nobody has to read the code to use the generator."""
    top = cli.parser({})
    chosen = next(action for action in top._actions if action.dest == "command").choices  # argparse has no public way

    assert chosen is not None
    assert all(action.help for action in dict(chosen)[command]._actions)


def test_an_export_names_its_meter_and_its_times() -> None:
    """A time without an offset stays so: it is the meter's local one."""
    parsed = cli.parser({}).parse_args(["export", "meter-1", "--from", "2026-11-20", "--to", "2026-11-21T06:00+05:30"])

    request = cli.export_request(parsed)

    assert (request.device_id, request.start.isoformat()) == ("meter-1", "2026-11-20T00:00:00")
    assert request.end.isoformat() == "2026-11-21T06:00:00+05:30"


def test_a_replayed_file_may_name_its_usage_point() -> None:
    """Beside whom its meter belongs to."""
    parsed = cli.parser({}).parse_args(["replay", "f.csv", "--usage-point", "NMI1", "--time-zone", "Australia/Perth"])

    meter = cli.replayed_meter(parsed)

    assert (meter.usage_point, meter.time_zone, meter.account_id) == ("NMI1", "Australia/Perth", "replay")
