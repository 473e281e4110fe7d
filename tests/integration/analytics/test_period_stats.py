"""Top consumers, stats and comparisons over a real billing: each number is what the readings come to in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.device_scope_pb2 import DeviceScope
from energy.registry.v1 import device_pb2
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement, VehicleMeasurement

from analytics.usage import period_usage
from analytics.windows.region_window import RegionWindow, WindowSums
from analytics.windows.region_window_store import RegionWindowStore
from common.energy import kwh
from common.instants import duration_from_ms, from_ms, to_ms
from common.localstack.mesh import Mesh
from common.rich_status import reason_of
from tests.integration.analytics.measured_world import MeasuredWorld, energy, measured_world
from tests.wire.analytics.peers import Registry

QUARTER_MS = 900_000
DAY_MS = 96 * QUARTER_MS
INDIA, AMERICA = "Asia/Kolkata", "America/New_York"
# The clock of New York goes from two to three on the 8th of March 2026.
START_MS = int(datetime(2026, 3, 5, tzinfo=UTC).timestamp() * 1000)
DAYS = 6
ZONES = {f"india-{number}": INDIA for number in range(3)} | {f"america-{number}": AMERICA for number in range(2)}
METERS = [*ZONES, "meter-silent"]
METER, VEHICLE, STORAGE = (
    device_pb2.DEVICE_KIND_METER,
    device_pb2.DEVICE_KIND_VEHICLE,
    device_pb2.DEVICE_KIND_STORAGE,
)


def devices() -> Registry:
    """Meters in two zones, one of them silent, a vehicle and a battery; two meters in a region of their own."""
    registry = Registry()  # type: ignore[abstract]
    for device_id, zone in ZONES.items():
        region = "East" if zone == INDIA else "West"
        site, groups = f"site-{region}", ["all-meters", "odd"] if device_id.endswith("1") else ["all-meters"]
        registry.add(
            device_id,
            METER,
            region=region,
            time_zone=zone,
            site_id=site,
            group_ids=groups,
            account_id=f"acc-{region}",
            interval_ms=QUARTER_MS,
        )
    registry.add("meter-silent", METER, region="East", interval_ms=QUARTER_MS)
    registry.add("hourly", METER, region="Hours", interval_ms=4 * QUARTER_MS)
    registry.add("vehicle", VEHICLE, region="East", interval_ms=QUARTER_MS)
    registry.add("battery", STORAGE, region="East", interval_ms=QUARTER_MS)
    return registry


def made_up() -> list[Reading]:
    """Quarter-hours over six days, some of them missing; seeded."""
    chance = random.Random(11)

    def measured(device_id: str) -> dict[str, Any]:
        taken, given = round(chance.uniform(0, 2), 6), round(chance.uniform(0, 0.5), 6)
        if device_id == "vehicle":
            return {"vehicle": VehicleMeasurement(energy_delivered_kwh=taken, power_kw=4 * taken)}
        if device_id == "battery":
            return {"storage": StorageMeasurement(charge_kwh=taken, discharge_kwh=given)}
        return {"meter": MeterMeasurement(import_kwh=taken, export_kwh=given, power_kw=round(4 * (taken - given), 6))}

    readings = [
        Reading(
            device_id=device_id,
            start_time=from_ms(START_MS + quarter * QUARTER_MS),
            interval=duration_from_ms(QUARTER_MS),
            **measured(device_id),
        )
        for quarter in range(DAYS * 96)
        for device_id in [*ZONES, "vehicle", "battery"]
        if chance.random() < 0.9
    ]
    hours = [(0, 2.0), (4, 3.0), (8, 2.5)]
    return readings + [
        Reading(
            device_id="hourly",
            start_time=from_ms(START_MS + quarter * QUARTER_MS),
            interval=duration_from_ms(4 * QUARTER_MS),
            meter=MeterMeasurement(import_kwh=taken),
        )
        for quarter, taken in hours
    ]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def world(servers: Mesh) -> AsyncIterator[MeasuredWorld]:
    """The readings of six days on record."""
    async with measured_world(servers, devices()) as opened:
        await opened.send(made_up())
        yield opened


def span(start_day: float, end_day: float) -> dict[str, Any]:
    """A period, days after the first reading."""
    return {
        "start_time": from_ms(START_MS + int(start_day * DAY_MS)),
        "end_time": from_ms(START_MS + int(end_day * DAY_MS)),
    }


def bounds(start_day: float, end_day: float) -> tuple[int, int]:
    """The same in milliseconds."""
    return START_MS + int(start_day * DAY_MS), START_MS + int(end_day * DAY_MS)


def by_date(readings: Iterable[Reading], key: Callable[[date], date] = lambda day: day) -> dict[date, list[Reading]]:
    """Readings by the local date of their start, each by the clock of its own site."""
    found = defaultdict(list)
    for reading in readings:
        zone = ZoneInfo(ZONES.get(reading.device_id, INDIA))
        local = datetime.fromtimestamp(to_ms(reading.start_time) / 1000, tz=UTC).astimezone(zone)
        found[key(local.date())].append(reading)
    return found


async def test_top_consumers_stand_by_what_their_readings_add_up_to(world: MeasuredWorld) -> None:
    """A meter without a reading counts among the devices asked about, and is no consumer."""
    start_ms, end_ms = bounds(1, 4)
    taken = {one: energy(world.within([one], start_ms, end_ms), "import_kwh") for one in [*ZONES, "hourly"]}
    expected = sorted(((sum_, one) for one, sum_ in taken.items() if sum_), key=lambda item: (-item[0], item[1]))

    answer = await world.analytics.ListTopConsumers(
        pb.ListTopConsumersRequest(scope=DeviceScope(all=True), limit=3, **span(1, 4)), timeout=20
    )

    assert [(one.rank, one.device_id, one.energy_in_kwh) for one in answer.consumers] == [
        (place, device_id, kwh(sum_)) for place, (sum_, device_id) in enumerate(expected[:3], 1)
    ]
    whole = sum(taken.values())
    assert [one.share_percent for one in answer.consumers] == [100 * sum_ / whole for sum_, _ in expected[:3]]
    assert (answer.totals.device_count, answer.totals.reporting_device_count) == (7, 5)
    assert answer.totals.energy_in_kwh == kwh(whole)
    first = answer.consumers[0]
    assert (first.account_id, first.region) in {("acc-East", "East"), ("acc-West", "West")}


@pytest.mark.parametrize(
    ("scope", "kind", "expected"),
    [
        (DeviceScope(region="East"), device_pb2.DEVICE_KIND_UNSPECIFIED, {"india-0", "india-1", "india-2"}),
        (DeviceScope(region="East"), VEHICLE, {"vehicle"}),
        (DeviceScope(region="East"), STORAGE, {"battery"}),
        (DeviceScope(site_id="site-West"), METER, {"america-0", "america-1"}),
        (DeviceScope(account_id="acc-West"), METER, {"america-0", "america-1"}),
        (DeviceScope(group_id="odd"), METER, {"india-1", "america-1"}),
        (DeviceScope(device_id="battery"), device_pb2.DEVICE_KIND_UNSPECIFIED, {"battery"}),
    ],
)
async def test_a_scope_is_its_devices_of_one_kind(
    world: MeasuredWorld, scope: DeviceScope, kind: Any, expected: set[str]
) -> None:
    """Meters, unless another kind is asked for."""
    answer = await world.analytics.ListTopConsumers(
        pb.ListTopConsumersRequest(scope=scope, kind=kind, **span(0, 6)), timeout=20
    )

    assert {one.device_id for one in answer.consumers} == expected


@pytest.mark.parametrize(
    ("scope", "device_ids"),
    [
        (DeviceScope(device_id="america-1"), ["america-1"]),
        (DeviceScope(group_id="all-meters"), list(ZONES)),
        (DeviceScope(region="East"), ["india-0", "india-1", "india-2"]),
    ],
)
async def test_stats_are_what_a_recomputation_gives(
    world: MeasuredWorld, scope: DeviceScope, device_ids: list[str]
) -> None:
    """Totals, the period before, the peak, the days and the months."""
    request = pb.GetStatsRequest(scope=scope, include_days=True, include_months=True, **span(2.5, 5))

    answer = await world.analytics.GetStats(request, timeout=20)

    readings = world.within(device_ids, *bounds(2.5, 5))
    before = world.within(device_ids, *bounds(0, 2.5))
    stats = answer.stats
    taken, taken_before = energy(readings, "import_kwh"), energy(before, "import_kwh")
    given, given_before = energy(readings, "export_kwh"), energy(before, "export_kwh")
    assert (stats.totals.energy_in_kwh, stats.previous.energy_in_kwh) == (kwh(taken), kwh(taken_before))
    assert (stats.totals.energy_out_kwh, stats.previous.energy_out_kwh) == (kwh(given), kwh(given_before))
    assert stats.energy_in_change_percent == 100 * (taken - taken_before) / taken_before
    assert stats.energy_out_change_percent == 100 * (given - given_before) / given_before
    assert (stats.totals.reading_count, stats.previous.reading_count) == (len(readings), len(before))
    assert stats.totals.mean_load_kw == pytest.approx(kwh(taken - given) / 60)
    greatest = max(readings, key=lambda reading: reading.meter.power_kw)
    assert (stats.totals.maximum_power_kw, stats.totals.maximum_power_device_id) == (
        greatest.meter.power_kw,
        greatest.device_id,
    )
    assert stats.totals.HasField("mean_power_kw") == (len(device_ids) == 1)

    quarters: dict[int, int] = defaultdict(int)
    for reading in readings:
        quarters[to_ms(reading.start_time)] += energy([reading], "import_kwh")
    peak_ms = max(quarters, key=lambda start_ms: (quarters[start_ms], -start_ms))
    assert to_ms(stats.peak.start_time) == peak_ms
    assert to_ms(stats.peak.end_time) == peak_ms + QUARTER_MS
    assert stats.peak.energy_in_kwh == kwh(quarters[peak_ms])
    assert stats.peak.load_kw == pytest.approx(4 * kwh(quarters[peak_ms]))

    for rows, dated in (
        (stats.days, by_date(readings)),
        (stats.months, by_date(readings, lambda day: day.replace(day=1))),
    ):
        assert [(date(row.date.year, row.date.month, row.date.day), row.totals.energy_in_kwh) for row in rows] == [
            (day, kwh(energy(some, "import_kwh"))) for day, some in sorted(dated.items())
        ]
        assert [row.totals.reading_count for row in rows] == [len(some) for _, some in sorted(dated.items())]
        assert [row.totals.energy_out_kwh for row in rows] == [
            kwh(energy(some, "export_kwh")) for _, some in sorted(dated.items())
        ]


async def test_a_day_has_23_hours_where_its_clock_jumps(world: MeasuredWorld) -> None:
    """The first and the last day are cut at the ends of the period; that of the change is whole and shorter."""
    request = pb.GetStatsRequest(scope=DeviceScope(device_id="america-0"), include_days=True, **span(0, 6))

    answer = await world.analytics.GetStats(request, timeout=20)

    hours = {
        row.date.day: (to_ms(row.totals.end_time) - to_ms(row.totals.start_time)) / 3_600_000
        for row in answer.stats.days
    }
    assert hours == {4: 5, 5: 24, 6: 24, 7: 24, 8: 23, 9: 24, 10: 20}


async def test_days_are_the_same_whether_devices_or_days_are_asked_about_one_by_one(
    world: MeasuredWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single day of five meters is two questions and a piece more, their list would be five."""
    request = pb.GetStatsRequest(
        scope=DeviceScope(group_id="all-meters"), include_days=True, include_months=True, **span(3, 3.5)
    )
    by_day = await world.analytics.GetStats(request, timeout=20)
    monkeypatch.setattr(period_usage, "_fewer_by_device", lambda *_: True)

    by_device = await world.analytics.GetStats(request, timeout=20)

    assert by_day.stats.days == by_device.stats.days
    assert by_day.stats.months == by_device.stats.months
    assert len(by_day.stats.days) == 2


async def test_without_a_period_before_there_is_no_change(world: MeasuredWorld) -> None:
    """It is absent: not 0, and not infinite."""
    answer = await world.analytics.GetStats(
        pb.GetStatsRequest(scope=DeviceScope(region="East"), **span(0, 2)), timeout=20
    )

    assert answer.stats.previous.reading_count == 0
    assert not answer.stats.previous.HasField("energy_in_kwh")
    assert not answer.stats.HasField("energy_in_change_percent")
    assert answer.stats.totals.energy_in_kwh > 0
    assert (len(answer.stats.days), len(answer.stats.months)) == (0, 0)


async def test_a_silent_device_has_no_numbers(world: MeasuredWorld) -> None:
    """Nor a peak."""
    answer = await world.analytics.GetStats(
        pb.GetStatsRequest(scope=DeviceScope(device_id="meter-silent"), include_days=True, **span(0, 2)), timeout=20
    )

    totals = answer.stats.totals
    for absent in ("energy_in_kwh", "energy_out_kwh", "mean_load_kw", "mean_power_kw", "maximum_power_kw"):
        assert not totals.HasField(absent), absent
    assert (totals.device_count, totals.reporting_device_count, totals.covered_share) == (1, 0, 0.0)
    assert not answer.stats.HasField("peak")
    assert len(answer.stats.days) == 0


async def test_the_peak_of_a_device_that_measures_by_the_hour_is_an_hour(world: MeasuredWorld) -> None:
    """Its energy is not taken for that of a quarter-hour."""
    answer = await world.analytics.GetStats(
        pb.GetStatsRequest(scope=DeviceScope(device_id="hourly"), **span(0, 1)), timeout=20
    )

    assert answer.stats.peak.load_kw == 3.0
    # Hours of the Indian clock begin on the half-hour of UTC.
    assert to_ms(answer.stats.peak.start_time) == START_MS + 2 * QUARTER_MS
    assert to_ms(answer.stats.peak.end_time) == START_MS + 6 * QUARTER_MS


async def test_the_peak_of_a_large_region_is_that_of_its_closed_windows(world: MeasuredWorld) -> None:
    """Four meters times 150 days are too many to look at each: the windows that were closed say when."""
    store = RegionWindowStore(world.database)
    for number, imported in enumerate([5, 9, 9, 7]):
        start_ms = START_MS + number * QUARTER_MS
        sums = WindowSums(imported * 1_000_000, 0, 1, QUARTER_MS)
        await store.close_first(RegionWindow("East", start_ms, 1, sums, 4, None, start_ms, start_ms))

    answer = await world.analytics.GetStats(
        pb.GetStatsRequest(scope=DeviceScope(region="East"), **span(-144, 6)), timeout=20
    )

    assert to_ms(answer.stats.peak.start_time) == START_MS + QUARTER_MS
    assert (answer.stats.peak.energy_in_kwh, answer.stats.peak.load_kw) == (9.0, 36.0)


async def test_periods_are_compared_by_the_local_day(world: MeasuredWorld) -> None:
    """A day and a half against three days that have 71 hours."""
    zone = ZoneInfo(AMERICA)
    first_start = datetime(2026, 3, 5, 12, tzinfo=zone)
    second_start, second_end = datetime(2026, 3, 7, tzinfo=zone), datetime(2026, 3, 10, tzinfo=zone)
    first = int(first_start.timestamp() * 1000), int(second_start.timestamp() * 1000)
    second = int(second_start.timestamp() * 1000), int(second_end.timestamp() * 1000)

    answer = await world.analytics.ComparePeriods(
        pb.ComparePeriodsRequest(
            scope=DeviceScope(site_id="site-West"),
            first_start_time=from_ms(first[0]),
            first_end_time=from_ms(first[1]),
            second_start_time=from_ms(second[0]),
            second_end_time=from_ms(second[1]),
        ),
        timeout=20,
    )

    compared = answer.comparison
    one, other = (energy(world.within(["america-0", "america-1"], *period), "import_kwh") for period in (first, second))
    assert (compared.first.energy_in_kwh, compared.second.energy_in_kwh) == (kwh(one), kwh(other))
    assert compared.energy_in_difference_kwh == kwh(other - one)
    assert compared.energy_in_change_percent == 100 * (other - one) / one
    assert compared.time_zone == AMERICA
    assert compared.first_energy_in_per_day_kwh == pytest.approx(kwh(one) / 1.5)
    assert compared.second_energy_in_per_day_kwh == pytest.approx(kwh(other) / 3)
    assert compared.energy_in_per_day_change_percent == pytest.approx(100 * (other / 3 - one / 1.5) / (one / 1.5))


@pytest.mark.parametrize(("time_zone", "has_mean"), [("", False), ("Europe/Berlin", True)])
async def test_of_several_zones_one_has_to_be_named(world: MeasuredWorld, time_zone: str, has_mean: bool) -> None:
    """Else it is not known whose days are meant, and the mean is absent."""
    times = span(0, 2), span(2, 4)
    answer = await world.analytics.ComparePeriods(
        pb.ComparePeriodsRequest(
            scope=DeviceScope(group_id="all-meters"),
            first_start_time=times[0]["start_time"],
            first_end_time=times[0]["end_time"],
            second_start_time=times[1]["start_time"],
            second_end_time=times[1]["end_time"],
            time_zone=time_zone,
        ),
        timeout=20,
    )

    assert answer.comparison.HasField("energy_in_change_percent")
    assert answer.comparison.HasField("first_energy_in_per_day_kwh") == has_mean
    assert answer.comparison.time_zone == time_zone


@pytest.mark.parametrize(
    ("scope", "kind", "code", "reason"),
    [
        (DeviceScope(device_id="nobody"), METER, grpc.StatusCode.NOT_FOUND, "DEVICE_NOT_FOUND"),
        (DeviceScope(region="Nowhere"), METER, grpc.StatusCode.NOT_FOUND, "SCOPE_EMPTY"),
        (DeviceScope(region="West"), VEHICLE, grpc.StatusCode.NOT_FOUND, "SCOPE_EMPTY"),
        (DeviceScope(device_id="vehicle"), METER, grpc.StatusCode.INVALID_ARGUMENT, "KIND_MISMATCH"),
    ],
)
async def test_who_is_not_there_is_told(
    world: MeasuredWorld, scope: DeviceScope, kind: Any, code: grpc.StatusCode, reason: str
) -> None:
    """With the reasons of the house."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.analytics.GetStats(pb.GetStatsRequest(scope=scope, kind=kind, **span(0, 1)), timeout=20)

    assert (refused.value.code(), reason_of(refused.value)) == (code, reason)


async def test_days_of_too_many_devices_are_refused(world: MeasuredWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before billing is asked about them."""
    monkeypatch.setattr(period_usage, "CALLS_MAXIMUM", 2)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.analytics.GetStats(
            pb.GetStatsRequest(scope=DeviceScope(group_id="all-meters"), include_days=True, **span(0, 6)), timeout=20
        )

    assert reason_of(refused.value) == "REQUEST_TOO_EXPENSIVE"
