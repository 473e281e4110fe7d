"""Small real servicers that stand for billing and for the registry, to be served to analytics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from energy.billing.v1 import usage_pb2, usage_service_pb2
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceServicer
from energy.registry.v1 import device_pb2, registry_service_pb2
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceServicer

from common.energy import kwh
from common.instants import duration_from_ms, from_ms, optional_from_ms, to_ms


@dataclass
class Measured:
    """One reading on record."""

    start_ms: int
    import_milliwatt_hours: int | None = None
    export_milliwatt_hours: int | None = None
    delivered_milliwatt_hours: int | None = None
    power_kw: float | None = None
    temperature_celsius: float | None = None


@dataclass
class Billing(UsageServiceServicer):
    """Stands for billing: sums up the readings it was given. What it was asked is kept."""

    readings: dict[str, list[Measured]] = field(default_factory=dict)
    live: dict[str, usage_pb2.LiveReading] = field(default_factory=dict)
    failures: list[grpc.StatusCode] = field(default_factory=list)
    summarized: list[usage_service_pb2.SummarizeUsageRequest] = field(default_factory=list)
    totalled: list[usage_service_pb2.ListMinuteTotalsRequest] = field(default_factory=list)
    live_asked: list[int] = field(default_factory=list)
    time_remaining_seconds: list[float | None] = field(default_factory=list)
    in_flight: int = 0
    in_flight_maximum: int = 0
    complete_through_ms: int | None = None
    is_catching_up: bool = False
    away_devices: set[str] = field(default_factory=set)
    removed_devices: set[str] = field(default_factory=set)
    listed: list[usage_service_pb2.ListUsageRequest] = field(default_factory=list)
    intervals: list[usage_pb2.UsageInterval] = field(default_factory=list)
    held: asyncio.Event | None = None
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def SummarizeUsage(  # noqa: N802 - the contract's name
        self, request: usage_service_pb2.SummarizeUsageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> usage_service_pb2.SummarizeUsageResponse:
        """Sums up what the devices measured in the period."""
        self.summarized.append(request)
        self.time_remaining_seconds.append(context.time_remaining())
        # As billing does: asked before the readings.
        complete_through = optional_from_ms(self.complete_through_ms)
        await self._answer(request.device_ids, context)
        start_ms, end_ms = to_ms(request.start_time), to_ms(request.end_time)
        devices = []
        for device_id in sorted(request.device_ids):
            counted = [one for one in self.readings.get(device_id, ()) if start_ms <= one.start_ms < end_ms]
            if counted:
                devices.append(usage_service_pb2.DeviceUsage(device_id=device_id, usage=_usage(counted)))
        return usage_service_pb2.SummarizeUsageResponse(devices=devices, complete_through=complete_through)

    async def ListMinuteTotals(  # noqa: N802 - the contract's name
        self, request: usage_service_pb2.ListMinuteTotalsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> usage_service_pb2.ListMinuteTotalsResponse:
        """Adds up what the devices measured in each minute, and in each quarter-hour."""
        self.totalled.append(request)
        complete_through = optional_from_ms(self.complete_through_ms)
        await self._answer(request.device_ids, context)
        minutes = []
        for at_ms in range(to_ms(request.start_time), to_ms(request.end_time), 60_000):
            counted = {
                device_id: [one for one in self.readings.get(device_id, ()) if at_ms <= one.start_ms < at_ms + 60_000]
                for device_id in request.device_ids
            }
            everything = [one for some in counted.values() for one in some]
            if everything:
                usage = _usage(everything)
                minutes.append(
                    usage_service_pb2.MinuteTotal(
                        start_time=from_ms(at_ms),
                        import_kwh=usage.import_kwh if usage.HasField("import_kwh") else None,
                        export_kwh=usage.export_kwh if usage.HasField("export_kwh") else None,
                        reading_count=len(everything),
                        meter_count=sum(map(bool, counted.values())),
                        covered=usage.covered,
                    )
                )
        quarters = range(to_ms(request.start_time), to_ms(request.end_time), 900_000)
        return usage_service_pb2.ListMinuteTotalsResponse(
            minutes=minutes,
            quarter_hours=[self._quarter(request.device_ids, at_ms) for at_ms in quarters],
            complete_through=complete_through,
        )

    def _quarter(self, device_ids: Iterable[str], start_ms: int) -> usage_service_pb2.QuarterHourTotal:
        total, covered_ms = usage_service_pb2.QuarterHourTotal(start_time=from_ms(start_ms)), 0
        for device_id in device_ids:
            some = [one for one in self.readings.get(device_id, ()) if start_ms <= one.start_ms < start_ms + 900_000]
            usage = _usage(some)
            total.meter_count += bool(some)
            total.import_kwh += usage.import_kwh
            total.export_kwh += usage.export_kwh
            if not (usage.HasField("import_kwh") or usage.HasField("export_kwh")):
                by_power_kwh = usage.mean_power_kw * len(some) / 60
                total.by_power_import_kwh += max(by_power_kwh, 0)
                total.by_power_export_kwh += max(-by_power_kwh, 0)
            covered_ms += min(60_000 * len(some), 900_000)
        total.covered.CopyFrom(duration_from_ms(covered_ms))
        return total

    async def GetCompleteThrough(  # noqa: N802 - the contract's name
        self,
        request: usage_service_pb2.GetCompleteThroughRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> usage_service_pb2.GetCompleteThroughResponse:
        """Says what the test wants it to say."""
        await self._fail(context)
        return usage_service_pb2.GetCompleteThroughResponse(
            complete_through=optional_from_ms(self.complete_through_ms), is_catching_up=self.is_catching_up
        )

    async def ListUsage(  # noqa: N802 - the contract's name
        self, request: usage_service_pb2.ListUsageRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> usage_service_pb2.ListUsageResponse:
        """Lists the intervals that the test has made up."""
        self.listed.append(request)
        await self._fail(context)
        return usage_service_pb2.ListUsageResponse(
            intervals=self.intervals,
            next_page_token="more",  # noqa: S106 - of a page
            complete_through=optional_from_ms(self.complete_through_ms),
        )

    async def BatchGetLiveReadings(  # noqa: N802 - the contract's name
        self, request: usage_service_pb2.BatchGetLiveReadingsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> usage_service_pb2.BatchGetLiveReadingsResponse:
        """Gets the newest readings."""
        self.live_asked.append(len(request.device_ids))
        await self._fail(context)
        found = [self.live[device_id] for device_id in request.device_ids if device_id in self.live]
        return usage_service_pb2.BatchGetLiveReadingsResponse(
            live_readings=found, complete_through=optional_from_ms(self.complete_through_ms)
        )

    async def _answer(self, device_ids: Iterable[str], context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Returns when the test lets it answer."""
        await self._fail(context)
        if self.away_devices & set(device_ids):
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "as the test wants it")
        if self.removed_devices & set(device_ids):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "their quarter-hours were removed")
        self.in_flight += 1
        self.idle.clear()
        self.busy.set()
        self.in_flight_maximum = max(self.in_flight_maximum, self.in_flight)
        try:
            if self.held is not None:
                await self.held.wait()
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.set()

    async def _fail(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self.failures:
            await context.abort(self.failures.pop(0), "as the test wants it")


def _usage(counted: list[Measured]) -> usage_pb2.Usage:
    def total_kwh(values: Iterable[int | None]) -> float | None:
        measured = [value for value in values if value is not None]
        return kwh(sum(measured)) if measured else None

    temperatures = [one.temperature_celsius for one in counted if one.temperature_celsius is not None]
    powers = [one.power_kw for one in counted if one.power_kw is not None]
    return usage_pb2.Usage(
        reading_count=len(counted),
        covered=duration_from_ms(60_000 * len(counted)),
        mean_power_kw=sum(powers) / len(powers) if powers else None,
        export_kwh=total_kwh(one.export_milliwatt_hours for one in counted),
        import_kwh=total_kwh(one.import_milliwatt_hours for one in counted),
        energy_delivered_kwh=total_kwh(one.delivered_milliwatt_hours for one in counted),
        mean_temperature_celsius=sum(temperatures) / len(temperatures) if temperatures else None,
    )


@dataclass
class Registry(RegistryServiceServicer):
    """Stands for the registry: tells its devices once, and then keeps the watch open."""

    devices: list[device_pb2.Device] = field(default_factory=list)
    tells_all: bool = True

    def add(
        self,
        device_id: str,
        kind: device_pb2.DeviceKind.ValueType,
        *,
        region: str = "North",
        interval_ms: int = 60_000,
        links: Iterable[device_pb2.VehicleLink] = (),
        time_zone: str = "Asia/Kolkata",
        account_id: str = "account-1",
        site_id: str = "",
        group_ids: Iterable[str] = (),
    ) -> None:
        """Registers a device."""
        self.devices.append(
            device_pb2.Device(
                device_id=device_id,
                kind=kind,
                account_id=account_id,
                site_id=site_id,
                group_ids=group_ids,
                region=region,
                time_zone=time_zone,
                expected_interval=duration_from_ms(interval_ms),
                links=links,
                create_time=from_ms(0),
                update_time=from_ms(0),
            )
        )

    async def GetDevice(  # noqa: N802 - the contract's name
        self, request: registry_service_pb2.GetDeviceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> registry_service_pb2.GetDeviceResponse:
        """Gets a device."""
        for device in self.devices:
            if device.device_id == request.device_id:
                return registry_service_pb2.GetDeviceResponse(device=device)
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such device")
        raise AssertionError("abort raises")

    async def WatchDevices(  # noqa: N802 - the contract's name
        self,
        _request: registry_service_pb2.WatchDevicesRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[registry_service_pb2.WatchDevicesResponse]:
        """Tells the devices."""
        yield registry_service_pb2.WatchDevicesResponse(devices=self.devices, snapshot_complete=self.tells_all)
        await asyncio.Event().wait()
