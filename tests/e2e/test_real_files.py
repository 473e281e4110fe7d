"""Real files through the whole mesh: their energy comes back whole, and their bills are what they state."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from energy.telemetry.v1.reading_pb2 import EnergyQuality

from common.energy import milliwatt_hours
from common.instants import datetime_from_ms
from common.localstack.mesh import Mesh
from loadgen.commands import Sending
from loadgen.file_bill import TariffFile, bill_file
from loadgen.file_export import ExportRequest, export_usage
from loadgen.files import SourceQuality, open_file, to_reading
from loadgen.files.urdb_tariff import UrdbChoices
from loadgen.latency import LatencyHistogram
from loadgen.pacing import Pacing
from loadgen.replay import ReplayedMeter, open_replay, send_replay
from loadgen.streams import Streams
from loadgen.tally import Tally
from tests.e2e.mesh_client import MeshClient, eventually
from tests.unit.billing.test_real_tariffs import plain_bill
from tests.unit.loadgen.nem12_files import END, HEADER, day, register

CENT = Decimal("0.01")


@pytest.mark.parametrize(
    "name",
    [
        "readings/uci_household_1min.txt",
        "green-button/2011-01_hourly.xml",
        "green-button/nine_days_hourly_with_cost.xml",
        "green-button/one_year_daily_with_cost.xml",
        "green-button/sdge_2019-10_hourly.xml",
        "nem12/month_solar_5min.csv",
    ],
)
async def test_energy_in_the_store_equals_energy_in_the_file(
    client: MeshClient, mesh: Mesh, samples_dir: Path, tmp_path: Path, name: str
) -> None:
    """A real file goes through the mesh whole; every row is rounded once, to the milliwatt-hour.

    Written as Green Button and read again it is the same, reading by reading.
    """
    meter = ReplayedMeter(time_zone="Europe/Paris" if name.endswith(".txt") else None)
    replay = await open_replay(samples_dir / name, meter, client.gateway)
    tally = Tally()
    async with Streams(client.gateway, tally=tally, ack_latency=LatencyHistogram()) as streams:
        await send_replay(replay, streams, pacing=Pacing())
    account, device = replay.account, replay.device
    assert device is not None

    usage = await client.stored([device.device_id], account.start_ms, account.end_ms, tally.distinct)

    found = usage[device.device_id]
    assert (tally.acked, tally.refused, replay.file.refused) == (account.readings, 0, [])
    assert milliwatt_hours(found.import_kwh) == account.import_milliwatt_hours > 0
    listed = await client.readings(device.device_id, account.start_ms, account.end_ms)
    assert sum(milliwatt_hours(one.reading.meter.import_kwh) for one in listed) == account.import_milliwatt_hours
    assert sum(milliwatt_hours(one.reading.meter.export_kwh) for one in listed) == account.export_milliwatt_hours

    written = tmp_path / "usage.xml"
    request = ExportRequest(
        device.device_id, datetime_from_ms(account.start_ms), datetime_from_ms(account.end_ms), page_size=1000
    )
    services = {name: mesh.environment[f"{name.upper()}_ADDRESS"] for name in ("gateway", "billing")}
    with written.open("w", encoding="ascii") as output:
        await export_usage(request, **services, output=output, told=StringIO(), now=datetime.now(UTC))
    again = open_file(written)
    assert [to_reading(one, device.device_id).meter.import_kwh for one in again.readings] == [
        one.reading.meter.import_kwh for one in listed
    ]
    assert (again.time_zone, again.rows_in) == (device.time_zone, len(listed) * (2 if found.export_kwh else 1))


async def _counts_at_the_end(client: MeshClient, device_id: str, time_ms: tuple[int, int], revision: int) -> bool:
    known = await client.readings(device_id, *time_ms)
    return bool(known) and known[-1].reading.revision == revision


async def test_what_a_file_says_of_its_values_goes_through_and_out_again_until_they_are_measured(
    client: MeshClient, mesh: Mesh, tmp_path: Path
) -> None:
    """Half-hours that were estimated and substituted; the day that is sent again with a higher revision counts then."""
    path, device_id = tmp_path / "meter.csv", "said-of-values"
    services = {name: mesh.environment[f"{name.upper()}_ADDRESS"] for name in ("gateway", "billing")}
    exported: list[list[SourceQuality]] = []
    listed: list[list[tuple[int, int, int]]] = []
    counts: list[tuple[int, int]] = []
    for revision, lines in enumerate((["400,1,46,A,,", "400,47,47,E52,,", "400,48,48,F14,76,"], ["400,1,48,A,,"])):
        path.write_text("\n".join([HEADER, register(), day([1 + revision] * 48, "V"), *lines, END]), "utf-8")
        replay = await open_replay(path, ReplayedMeter(device_id=device_id, revision=revision), client.gateway)
        tally = Tally()
        async with Streams(client.gateway, tally=tally, ack_latency=LatencyHistogram()) as streams:
            await send_replay(replay, streams, pacing=Pacing())
        start_ms, end_ms = replay.account.start_ms, replay.account.end_ms
        await eventually(partial(_counts_at_the_end, client, device_id, (start_ms, end_ms), revision))
        known = await client.readings(device_id, start_ms, end_ms)
        usage = (await client.stored([device_id], start_ms, end_ms, 48))[device_id]
        counts.append((usage.estimated_reading_count, usage.substituted_reading_count))
        last = [one.reading.meter for one in known[-2:]]
        listed.append([(one.energy_quality, one.quality_method_code, one.quality_reason_code) for one in last])
        request = ExportRequest(device_id, datetime_from_ms(start_ms), datetime_from_ms(end_ms))
        written = tmp_path / "usage.xml"
        with written.open("w", encoding="ascii") as output:
            await export_usage(request, **services, output=output, told=StringIO(), now=datetime.now(UTC))
        exported.append([one.quality for one in open_file(written).readings][-2:])

    estimated, final = EnergyQuality.ENERGY_QUALITY_ESTIMATED, EnergyQuality.ENERGY_QUALITY_FINAL_SUBSTITUTED
    assert counts == [(1, 1), (0, 0)]
    assert listed == [[(estimated, 52, 0), (final, 14, 76)], [(0, 0, 0)] * 2]
    assert exported == [
        [SourceQuality.ESTIMATED, SourceQuality.SUBSTITUTED],
        [SourceQuality.MEASURED] * 2,
    ]


async def test_a_usage_file_and_a_tariff_file_are_a_bill_in_one_command(mesh: Mesh, samples_dir: Path) -> None:
    """A month of hours by a business tariff with demand, to the cent of plain arithmetic; told twice it is the same."""
    usage, tariff = samples_dir / "green-button/2011-01_hourly.xml", samples_dir / "tariffs/urdb_pge_bev-2-s.json"
    output = StringIO()
    sending = Sending(mesh.environment["GATEWAY_ADDRESS"], output)
    choices = UrdbChoices("", tax_percent=Decimal("6.35"))

    codes = [
        await bill_file(
            usage,
            TariffFile(tariff, choices),
            ReplayedMeter(device_id="billed-file", time_zone="America/Los_Angeles"),
            sending,
            mesh.environment["BILLING_ADDRESS"],
        )
        for _ in range(2)
    ]

    days = (date(2011, 1, 1), date(2011, 1, 17))
    _, total = plain_bill(usage, "America/Los_Angeles", tariff, days)
    totals = [line.split()[-1] for line in output.getvalue().splitlines() if line.startswith("  total USD")]
    assert codes == [0, 0]
    assert totals == [f"{total:.2f}"] * 2
    assert "note: demandreactivepowercharge is not billed" in output.getvalue()


async def test_the_same_usage_is_billed_by_another_tariff_when_asked_for(mesh: Mesh, samples_dir: Path) -> None:
    """With a tax of 6 % first, of 7 % then: the second assignment takes the place of the first."""
    output = StringIO()

    for percent in (6, 7):
        code = await bill_file(
            samples_dir / "green-button/2011-01_hourly.xml",
            TariffFile(samples_dir / "tariffs/urdb_pge_bev-2-s.json", UrdbChoices("", tax_percent=Decimal(percent))),
            ReplayedMeter(device_id="billed-twice", time_zone="America/Los_Angeles"),
            Sending(mesh.environment["GATEWAY_ADDRESS"], output),
            mesh.environment["BILLING_ADDRESS"],
        )
        assert code == 0

    told = output.getvalue()
    assert told.count("  tax 6 % of ") == told.count("  tax 7 % of ") == 1


async def test_a_bill_that_the_file_states_stands_beside_the_computed_one(
    mesh: Mesh, samples_dir: Path, tmp_path: Path
) -> None:
    """Of the same four weeks: at the mean price of the stated bill it is met, at another one the price differs."""
    usage = samples_dir / "green-button/nine_days_hourly_with_cost.xml"
    hours = {f"energy{kind}schedule": [[0] * 24] * 12 for kind in ("weekday", "weekend")}
    output = StringIO()

    for price in (0.11064, 0.2):
        tariff = tmp_path / f"{price}.json"
        tariff.write_text(json.dumps({"items": [{"label": "r", "energyratestructure": [[{"rate": price}]], **hours}]}))
        code = await bill_file(
            usage,
            TariffFile(tariff, UrdbChoices("")),
            ReplayedMeter(device_id=f"stated-{price}"),
            Sending(mesh.environment["GATEWAY_ADDRESS"], output),
            mesh.environment["BILLING_ADDRESS"],
        )
        assert code == 0

    told = output.getvalue()
    stated = "stated in the file for 2014-01-01 up to 2014-01-29: bill 22.08 USD, energy 199.563 kWh"
    assert told.count(stated) == 2
    reach = "    period: the file has readings of 2014-01-01 up to 2014-01-10 only\n"
    assert f"  computed for 2014-01-01 up to 2014-01-29: 22.08 USD, 199.563 kWh\n  met\n{reach}" in told
    causes = "    energy: the same\n    price: unknown, the file names no tariff"
    assert f"  not met: the computed bill is 17.83 USD more\n{reach}{causes}" in told
    assert told.endswith("costs stated for 216 intervals of the file: 22.05567 USD\n")


async def test_the_stated_bill_of_a_year_of_days_is_explained_by_its_rounding(
    mesh: Mesh, samples_dir: Path, tmp_path: Path
) -> None:
    """February 2014 by the two prices that its days had: the same energy, and six cents that are rounding."""
    rates = {"energyratestructure": [[{"rate": 0.12194804}], [{"rate": 0.07946808}]]}
    hours = {"energyweekdayschedule": [[0] * 24] * 12, "energyweekendschedule": [[1] * 24] * 12}
    tariff = tmp_path / "rate.json"
    tariff.write_text(json.dumps({"items": [{"label": "r", **rates, **hours}]}))
    output = StringIO()

    code = await bill_file(
        samples_dir / "green-button/one_year_daily_with_cost.xml",
        TariffFile(tariff, UrdbChoices("")),
        ReplayedMeter(device_id="stated-year"),
        Sending(mesh.environment["GATEWAY_ADDRESS"], output),
        mesh.environment["BILLING_ADDRESS"],
    )

    told = output.getvalue()
    assert code == 0
    assert "  not met: the computed bill is 0.06 USD more\n    energy: the same\n" in told
    assert "the sum of the costs of 28 intervals, each rounded by itself; not rounded they come to 67.58388 USD" in told
