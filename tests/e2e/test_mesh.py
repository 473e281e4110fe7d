"""The road from a device to a bill and a summary, through real processes and real servers."""

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import grpc
import pytest
from energy.analytics.v1.analytics_service_pb2 import GetFleetSummaryRequest, GetPerformanceRequest
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.billing.v1.tariff_pb2 import FlatPricing, Tariff, TariffAssignment
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from energy.billing.v1.usage_service_pb2 import GetLiveReadingRequest, ListUsageRequest, UsageResolution
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.registry.v1.device_pb2 import DEVICE_KIND_STORAGE
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, OperatingState, Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest, SendReadingsRequest
from google.protobuf.duration_pb2 import Duration
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from common.energy import milliwatt_hours
from common.errors import reason_of
from common.instants import from_ms
from common.localstack.mesh import Mesh
from loadgen.bench.bench import run_bench
from loadgen.bench.settings import QUICK, BenchSettings
from loadgen.connection import Addresses
from loadgen.disturbance import Disturbance, DisturbanceShares
from loadgen.fleet import Fleet
from loadgen.fleet_spec import FleetSpec
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient, eventually

# A local day of Asia/Kolkata.
START_MS = int(datetime(2026, 3, 9, 18, 30, tzinfo=UTC).timestamp() * 1000)
END_MS = START_MS + 86_400_000
CENT = Decimal("0.01")


def spec(prefix: str, *, meters: int = 0, vehicles: int = 0, packs: int = 0) -> FleetSpec:
    """A small fleet whose ids no other test uses; a reading every five minutes."""
    return FleetSpec(
        meters=meters, vehicles=vehicles, packs=packs, interval_ms=300_000, seed=7, id_prefix=prefix,
        time_zone="Asia/Kolkata",
    )  # fmt: skip


def energy_sent(fleet: Fleet, measurement: str, field: str) -> dict[str, int]:
    """Energy of each device in whole milliwatt-hours, each reading rounded once."""
    sums: defaultdict[str, int] = defaultdict(int)
    for step in fleet.readings(START_MS, END_MS):
        for reading in step:
            if reading.WhichOneof("measurement") == measurement:
                sums[reading.device_id] += milliwatt_hours(getattr(getattr(reading, measurement), field))
    return dict(sums)


async def test_a_meters_day_becomes_usage_and_a_bill(client: MeshClient) -> None:
    """Duplicates, late and refused readings among them, the bill equals plain arithmetic on what was sent."""
    fleet = Fleet(spec("bill-", meters=2))
    await client.register(fleet)
    disturbance = Disturbance(
        DisturbanceShares(duplicates=0.1, late=0.1, malformed=0.05), seed=3, now_ms=lambda: time.time_ns() // 10**6
    )
    tally = await client.stream(disturbance.apply(fleet.readings(START_MS, END_MS)))
    device_ids = [device.device_id for device in fleet.devices()]

    usage = await client.stored(device_ids, START_MS, END_MS, tally.distinct)

    assert (tally.distinct, tally.duplicates) == (2 * 288, disturbance.counts.duplicates)
    assert tally.duplicates > 0
    assert tally.refused == disturbance.counts.malformed > 0
    sent = energy_sent(fleet, "meter", "import_kwh")
    assert {name: milliwatt_hours(usage[name].import_kwh) for name in device_ids} == sent

    price = Money(currency_code="INR", units=6, nanos=123_450_000)
    tariff = Tariff(tariff_id="bill-flat", currency_code="INR", flat=FlatPricing(price_per_kwh=price))
    await client.tariffs.CreateTariff(CreateTariffRequest(tariff=tariff), timeout=CALL_SECONDS)
    assignment = TariffAssignment(device_id=device_ids[0], tariff_id="bill-flat", start_time=from_ms(0))
    await client.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment), timeout=CALL_SECONDS)
    request = PreviewInvoiceRequest(
        device_id=device_ids[0], start_date=Date(year=2026, month=3, day=10), end_date=Date(year=2026, month=3, day=11)
    )
    invoice = (await client.invoices.PreviewInvoice(request, timeout=CALL_SECONDS)).invoice

    amount = (Decimal(sent[device_ids[0]]) / 1_000_000 * Decimal("6.12345")).quantize(CENT, ROUND_HALF_UP)
    tax = (amount * 18 / 100).quantize(CENT, ROUND_HALF_UP)
    total = Decimal(invoice.total.units) + Decimal(invoice.total.nanos) / 10**9
    assert (total, len(invoice.lines), invoice.reading_count) == (amount + tax, 1, 288)


async def test_a_vehicles_charging_has_both_sides(client: MeshClient) -> None:
    """Performance is the vehicle's direct current over its charger's alternating current; without data it is absent."""
    fleet = Fleet(spec("ev-", vehicles=1))
    await client.register(fleet)
    tally = await client.stream(fleet.readings(START_MS, END_MS))
    await client.stored([device.device_id for device in fleet.devices()], START_MS, END_MS, tally.distinct)
    (ac,), (dc,) = (
        energy_sent(fleet, *side).values() for side in (("meter", "import_kwh"), ("vehicle", "energy_delivered_kwh"))
    )
    request = GetPerformanceRequest(
        device_id="ev-vehicle-00001", start_time=from_ms(START_MS), end_time=from_ms(END_MS)
    )

    found = (await client.analytics.GetPerformance(request, timeout=CALL_SECONDS)).performance

    assert (milliwatt_hours(found.ac_kwh), milliwatt_hours(found.dc_kwh)) == (ac, dc)
    assert found.efficiency == pytest.approx(dc / ac)
    assert 0.8 < found.efficiency < 1
    assert found.HasField("battery_temperature_celsius")

    nothing = GetPerformanceRequest(device_id="ev-vehicle-00001", start_time=from_ms(0), end_time=from_ms(1000))
    empty = (await client.analytics.GetPerformance(nothing, timeout=CALL_SECONDS)).performance
    assert not any(empty.HasField(name) for name in ("ac_kwh", "dc_kwh", "efficiency", "battery_temperature_celsius"))


async def test_a_battery_is_seen_live_and_in_usage(client: MeshClient) -> None:
    """Its newest reading, its state in the fleet, and its energy by the local hour."""
    fleet = Fleet(spec("grid-", packs=1))
    await client.register(fleet)
    tally = await client.stream(fleet.readings(START_MS, END_MS))
    await client.stored(["grid-pack-001"], START_MS, END_MS, tally.distinct)
    *_, (last,) = fleet.readings(START_MS, END_MS)

    async def is_live() -> bool:
        request = GetLiveReadingRequest(device_id="grid-pack-001")
        live = (await client.usage.GetLiveReading(request, timeout=CALL_SECONDS)).live_reading.reading
        return bool(live.start_time == last.start_time and live.storage.operating_state == last.storage.operating_state)

    await eventually(is_live)
    request = ListUsageRequest(
        device_id="grid-pack-001",
        start_time=from_ms(START_MS),
        end_time=from_ms(END_MS),
        resolution=UsageResolution.USAGE_RESOLUTION_HOUR,
    )
    hours = (await client.usage.ListUsage(request, timeout=CALL_SECONDS)).intervals
    charged = sum(milliwatt_hours(hour.usage.charge_kwh) for hour in hours)
    assert (len(hours), charged) == (24, energy_sent(fleet, "storage", "charge_kwh")["grid-pack-001"])
    state = OperatingState.Name(last.storage.operating_state).removeprefix("OPERATING_STATE_")

    async def is_in_the_fleet() -> bool:
        summary = (await client.analytics.GetFleetSummary(GetFleetSummaryRequest(), timeout=CALL_SECONDS)).summary
        counts = {(count.kind, count.state): count.device_count for count in summary.counts}
        return counts.get((DEVICE_KIND_STORAGE, state)) == 1

    await eventually(is_in_the_fleet)


def minute(device_id: str, **meter: Any) -> Reading:
    """A meter's reading of one minute."""
    return Reading(
        device_id=device_id,
        start_time=from_ms(START_MS),
        interval=Duration(seconds=60),
        meter=MeterMeasurement(**meter),
    )


async def test_bad_readings_are_named_and_their_neighbours_kept(client: MeshClient) -> None:
    """One frame, three faults: each gets its verdict, the good reading is stored."""
    await client.register(Fleet(spec("bad-", meters=1)))
    good = minute("bad-meter-00001", import_kwh=1.5)
    faults: Iterable[Reading] = (
        minute("bad-meter-00001", import_kwh=float("nan")),
        minute("nobody", import_kwh=1.0),
        minute("bad-meter-00001", import_kwh=-1.0),
    )

    response = await client.telemetry.SendReadings(SendReadingsRequest(readings=[*faults, good]), timeout=CALL_SECONDS)

    assert response.accepted_count == 1
    assert [(one.index, ErrorReason.Name(one.reason), one.field) for one in response.refused] == [
        (0, "ERROR_REASON_OUT_OF_RANGE", "meter.import_kwh"),
        (1, "ERROR_REASON_DEVICE_NOT_FOUND", "device_id"),
        (2, "ERROR_REASON_OUT_OF_RANGE", "meter.import_kwh"),
    ]
    usage = await client.stored(["bad-meter-00001"], START_MS, END_MS, 1)
    assert usage["bad-meter-00001"].import_kwh == 1.5

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.telemetry.SendReading(SendReadingRequest(reading=minute("nobody", import_kwh=1.0)), timeout=9)
    assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.NOT_FOUND, "DEVICE_NOT_FOUND")


async def test_the_benchmark_counts_only_what_the_store_holds(mesh: Mesh, tmp_path: Path) -> None:
    """A second of load on the whole mesh: a figure beside its bare limits, and nothing is void."""
    settings = BenchSettings(
        addresses=Addresses(*(mesh.environment[f"{name}_ADDRESS"] for name in ("GATEWAY", "BILLING", "ANALYTICS"))),
        amqp_url=mesh.amqp_url,
        mongo_url=mesh.mongo_url,
        run_dir=Path(mesh.environment["GRIDMESH_RUN_DIR"]),
        report=tmp_path / "report.json",
        durations=replace(QUICK, row_seconds=0.5, limit_seconds=0.3, row_readings=20_000, fold_drain_seconds=0.0),
        devices=1_000,
        only=("stream_ack_100", "memory_"),
    )

    exit_code = await run_bench(settings, StringIO())

    report = json.loads(settings.report.read_text())
    row, *memory = report["rows"]
    assert (exit_code, row["name"], row["unit"]) == (0, "stream_ack_100", "readings/s")
    assert row["value"] > 0
    assert row["ratio"] == pytest.approx(row["value"] / row["limit"], rel=0.01)
    assert {"memory_gateway", "memory_billing", "memory_rabbitmq"} <= {one["name"] for one in memory}
    assert report["machine"]["cores"] > 0


async def test_every_service_answers_grpcurl_by_reflection(mesh: Mesh) -> None:
    """A person with grpcurl and an address needs nothing else."""
    grpcurl = Path(sys.executable).with_name("grpcurl")
    for service in ("gateway", "ingestion", "billing", "analytics"):
        address = mesh.environment[f"{service.upper()}_ADDRESS"]

        listed = subprocess.run(  # noqa: ASYNC221, S603 - a short call of our own tool
            [grpcurl, "-plaintext", address, "list"], capture_output=True, text=True, timeout=20, check=True
        )

        assert "energy." in listed.stdout
        assert "grpc.health.v1.Health" in listed.stdout


@pytest.mark.parametrize("victim", ["gateway", "ingestion", "billing", "analytics"])
async def test_a_killed_service_loses_nothing_acked(client: MeshClient, mesh: Mesh, victim: str) -> None:
    """A service dies without warning in the middle of the stream; what was acked is stored, once."""
    fleet = Fleet(spec(f"kill-{victim}-", meters=4))
    await client.register(fleet)

    halfway = asyncio.Event()

    def steps() -> Iterable[list[Reading]]:
        for number, step in enumerate(fleet.readings(START_MS, END_MS)):
            if number == 100:
                halfway.set()
            yield step

    async with asyncio.TaskGroup() as tasks:
        streaming = tasks.create_task(client.stream(steps()))
        await halfway.wait()
        await mesh.keepers[victim].kill()
    tally = streaming.result()

    acked_ms = time.time_ns() // 1_000_000
    await mesh.keepers[victim].ready()
    # The first answer that is complete through the last ack has every reading; none is waited for any further.
    usage = await client.complete([device.device_id for device in fleet.devices()], START_MS, END_MS, acked_ms + 1)
    assert {device_id: found.reading_count for device_id, found in usage.items()} == {
        device.device_id: tally.distinct_of(device.device_id) for device in fleet.devices()
    }
    assert tally.distinct == 4 * 288
