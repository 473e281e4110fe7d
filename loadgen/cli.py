"""The command line of the generator: what to send, how fast, and to which mesh."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from common.instants import datetime_to_ms
from common.localstack.settings import Ports, instance_of
from loadgen.demo import SPEED
from loadgen.disturbance import DisturbanceShares
from loadgen.file_bill import TariffFile
from loadgen.file_export import ExportRequest
from loadgen.files.urdb_tariff import UrdbChoices
from loadgen.fleet import FleetSpec, LoadMode
from loadgen.pacing import Pacing
from loadgen.region_capacities import SHIPPED_FILE
from loadgen.replay import ReplayedMeter

_ASKED_SERVICES = ("gateway", "billing", "analytics")


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser of all commands; addresses and the demonstration's file default to what the environment says.

    Raises:
        LocalStackError: it names no instance of the local mesh.
    """
    top = argparse.ArgumentParser(
        prog="python -m loadgen", description="Sends the readings of a simulated fleet, or of a real file, to the mesh."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_fleet(commands.add_parser("fleet", help="send the readings of a simulated fleet"), environment)
    _add_replay(commands.add_parser("replay", help="send the readings of a real file"), environment)
    _add_bill(commands.add_parser("bill", help="send a usage file and bill it by a tariff file"), environment)
    _add_export(commands.add_parser("export", help="write a meter's readings as a Green Button file"), environment)
    _add_capacities(commands.add_parser("capacities", help="set what regions can carry from a file"), environment)
    _add_demo(commands.add_parser("demo", help="send a fleet's day, then ask the mesh and report"), environment)
    _add_bench(commands.add_parser("bench", help="measure the mesh's path beside its bare limits"), environment)
    return top


def fleet_spec(arguments: argparse.Namespace) -> FleetSpec:
    """The fleet that was asked for; ValueError when a setting is out of range."""
    return FleetSpec(
        meters=arguments.meters,
        vehicles=arguments.vehicles,
        packs=arguments.packs,
        sensors=arguments.sensors,
        interval_ms=round(arguments.interval * 1000),
        mode=LoadMode(arguments.mode),
        seed=arguments.seed,
        time_zone=arguments.time_zone,
        id_prefix=arguments.id_prefix,
    )


def simulated_time(arguments: argparse.Namespace, now: datetime) -> tuple[int, int]:
    """The time [start, end) the fleet lives through, UTC milliseconds; ValueError when it is none.

    Without a start it ends now. The start is put on a whole interval.
    """
    span = timedelta(hours=arguments.hours)
    if span <= timedelta(0):
        raise ValueError("--hours must be above 0")
    if arguments.start is None:
        start = now - span
    elif arguments.start == "now":
        start = now
    else:
        start = datetime.fromisoformat(arguments.start)
        start = start if start.tzinfo else start.replace(tzinfo=ZoneInfo(arguments.time_zone))
    interval_ms = round(arguments.interval * 1000)
    start_ms = datetime_to_ms(start.astimezone(UTC).replace(microsecond=0)) // interval_ms * interval_ms
    return start_ms, start_ms + round(span / timedelta(milliseconds=1))


def pacing(arguments: argparse.Namespace) -> Pacing:
    """How fast to send; ValueError when a limit is not above 0."""
    return Pacing(readings_per_second=arguments.rate, speed=arguments.speed)


def shares(arguments: argparse.Namespace) -> DisturbanceShares:
    """How much goes wrong on the way; ValueError when a share is out of range."""
    return DisturbanceShares(duplicates=arguments.duplicates, late=arguments.late, malformed=arguments.malformed)


def _add_fleet(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    who = command.add_argument_group("the fleet")
    who.add_argument("--meters", type=int, default=100, metavar="N", help="households' meters (default 100)")
    who.add_argument("--vehicles", type=int, default=20, metavar="N", help="vehicles with a charger each (default 20)")
    who.add_argument("--packs", type=int, default=2, metavar="N", help="grid batteries (default 2)")
    who.add_argument("--sensors", type=int, default=0, metavar="N", help="energy sensors of the preset (default 0)")
    who.add_argument(
        "--mode", choices=[mode.value for mode in LoadMode], default="normal", help="what it lives through"
    )
    who.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same seed gives the same readings (default 1)"
    )
    who.add_argument("--time-zone", default="Asia/Kolkata", metavar="ZONE", help="IANA zone (default Asia/Kolkata)")
    who.add_argument("--id-prefix", default="", metavar="TEXT", help="put before every id, to keep fleets apart")
    when = command.add_argument_group("the time simulated")
    when.add_argument("--start", metavar="TIME", help="ISO 8601, or `now`; default: so that it ends now")
    when.add_argument("--hours", type=float, default=24.0, metavar="H", help="how long (default 24)")
    when.add_argument("--interval", type=float, default=60.0, metavar="S", help="seconds of a reading (default 60)")
    how = command.add_argument_group("sending")
    _add_rate(how)
    how.add_argument(
        "--speed", type=float, metavar="X", help="simulated seconds in one second: 1 is live, 960 a day in 90 s"
    )
    how.add_argument("--streams", type=int, default=1, metavar="N", help="streams the devices share (default 1)")
    wrong = command.add_argument_group("what goes wrong, as shares from 0 to 1")
    wrong.add_argument("--duplicates", type=float, default=0.0, metavar="P", help="readings sent twice")
    wrong.add_argument("--late", type=float, default=0.0, metavar="P", help="readings held back for some intervals")
    wrong.add_argument("--malformed", type=float, default=0.0, metavar="P", help="readings followed by a bad one")
    _add_address(command, "gateway", environment)


def replayed_meter(arguments: argparse.Namespace) -> ReplayedMeter:
    """Whom the readings of the file that was named come from."""
    names = ("device_id", "account_id", "region", "time_zone", "usage_point", "revision")
    return ReplayedMeter(**{name: getattr(arguments, name) for name in names})


def tariff_file(arguments: argparse.Namespace) -> TariffFile:
    """The tariff file that was named, and what was said of what it leaves open; ValueError where that is wrong."""
    choices = UrdbChoices(
        tariff_id=arguments.tariff_id or "",
        currency_code=arguments.currency,
        tax_percent=_decimal("--tax-percent", arguments.tax_percent),
        holidays=[date.fromisoformat(day) for day in arguments.holiday],
        tier_counter=arguments.tier_counter,
        net_metering_sell=None
        if arguments.net_metering is None
        else _decimal("--net-metering", arguments.net_metering),
        true_up_month=arguments.true_up_month,
    )
    return TariffFile(arguments.tariff, choices, arguments.rate_label, arguments.split_intervals)


def _decimal(option: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{option} must be a number, not {text!r}") from None


def _add_bill(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    _add_replay(command, environment)
    command.add_argument("tariff", type=Path, metavar="TARIFF", help="a rate of the US Utility Rate Database, as JSON")
    said = command.add_argument_group("what the rate leaves open")
    said.add_argument("--rate-label", metavar="ID", help="label of the rate, where the file has several")
    said.add_argument("--tariff-id", metavar="ID", help="the tariff's id (default: made of its content)")
    said.add_argument("--currency", default="USD", metavar="CODE", help="currency of its prices (default USD)")
    said.add_argument("--tax-percent", default="0", metavar="P", help="tax on all lines (default 0)")
    said.add_argument("--holiday", action="append", default=[], metavar="DATE", help="a day that counts as a Sunday")
    said.add_argument(
        "--tier-counter", choices=["tariff", "price"], help="what tiers count: all energy, or each price's"
    )
    said.add_argument(
        "--net-metering", metavar="PRICE", help="set export off by the month; what is left earns this a kWh"
    )
    said.add_argument("--true-up-month", type=int, default=12, metavar="M", help="when it does (default 12)")
    said.add_argument(
        "--split-intervals", action="store_true", help="divide readings over a change of price by time, not refuse them"
    )
    _add_address(command, "billing", environment)


def _add_replay(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="Green Button, NEM12, CSV or household format")
    command.add_argument("--device-id", metavar="ID", help="the meter that sends (default: made of the file)")
    command.add_argument("--account-id", default="replay", metavar="ID", help="who pays for it (default replay)")
    command.add_argument("--region", default="Mumbai-North", metavar="NAME", help="where it is (default Mumbai-North)")
    command.add_argument("--time-zone", metavar="ZONE", help="IANA zone of the file (default: as the file says)")
    command.add_argument("--usage-point", metavar="NAME", help="self link or NMI, where the file has several")
    command.add_argument(
        "--revision", type=int, default=0, metavar="N", help="higher than that of the file it replaces (default 0)"
    )
    _add_rate(command)
    command.set_defaults(speed=None)
    _add_address(command, "gateway", environment)


def export_request(arguments: argparse.Namespace) -> ExportRequest:
    """Which readings to write; ValueError when a time is none."""
    start, end = datetime.fromisoformat(arguments.start), datetime.fromisoformat(arguments.end)
    return ExportRequest(arguments.device_id, start, end)


def _add_export(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    command.add_argument("device_id", metavar="DEVICE_ID", help="the meter")
    for name, place in (("from", "start"), ("to", "end")):
        command.add_argument(
            f"--{name}",
            dest=place,
            required=True,
            metavar="TIME",
            help="ISO 8601; the meter's local time, or with offset",
        )
    _add_address(command, "gateway", environment)
    _add_address(command, "billing", environment)


def _add_demo(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    named = environment.get("DEMO_FILE", "").strip()
    command.add_argument(
        "--file", type=Path, default=Path(named) if named else None, metavar="FILE", help="replay this file as well"
    )
    command.add_argument(
        "--time-zone",
        default=environment.get("DEMO_TIME_ZONE", "").strip() or None,
        metavar="ZONE",
        help="IANA zone of the file (default: as the file says)",
    )
    command.add_argument(
        "--speed", type=float, default=SPEED, metavar="X", help="simulated seconds in one second (default 1200)"
    )
    for service in _ASKED_SERVICES:
        _add_address(command, service, environment)


def _add_capacities(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    command.add_argument(
        "file", type=Path, nargs="?", default=SHIPPED_FILE, metavar="FILE", help="default: the ten regions shipped"
    )
    _add_address(command, "analytics", environment)


def _add_bench(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    command.add_argument("--quick", action="store_true", help="shorter measurements, less exact: under two minutes")
    command.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="rows whose names begin so; may be repeated"
    )
    command.add_argument(
        "--report", type=Path, metavar="FILE", help="where the report goes (default bench/report.json)"
    )
    command.add_argument("--markdown", type=Path, metavar="FILE", help="measure nothing, print this report as a table")
    for service in _ASKED_SERVICES:
        _add_address(command, service, environment)


def _add_rate(group: argparse._ActionsContainer) -> None:
    group.add_argument("--rate", type=float, metavar="N", help="readings a second (default: as fast as acks allow)")


def _add_address(command: argparse.ArgumentParser, service: str, environment: Mapping[str, str]) -> None:
    variable = f"{service.upper()}_ADDRESS"
    default = f"127.0.0.1:{getattr(Ports.of_instance(instance_of(environment)), service)}"
    command.add_argument(
        f"--{service}",
        default=environment.get(variable, "").strip() or default,
        metavar="ADDRESS",
        help=f"host:port (default {variable} or {default})",
    )
