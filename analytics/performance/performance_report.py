"""Who knows how well a vehicle charged: the registry its meters, billing what they and the vehicle measured."""

from __future__ import annotations

import asyncio

from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import kind_name
from analytics.performance.performance import MeterLink, Performance, meters_by_window, performance_of
from analytics.usage.measured_energy import Window
from analytics.usage.usage_client import UsageClient
from common.errors import FieldViolation, InvalidArgument
from common.registry_cache import RegistryCache


class PerformanceReport:
    """Answers one question about one vehicle."""

    def __init__(self, registry: RegistryCache, usage: UsageClient) -> None:
        self._registry = registry
        self._usage = usage

    async def of(self, device_id: str, window: Window, time_remaining_seconds: float | None) -> Performance:
        """The performance of a vehicle over a window; `time_remaining_seconds` is what the caller still waits.

        Raises:
            DeviceNotFound: no device has this id.
            InvalidArgument: the device is no vehicle.
            DependencyUnavailable: the device is not known here and the registry is away, or billing is.
            DeadlineExceeded: billing did not answer in time.
        """
        device = await self._registry.find(device_id)
        if device.kind != device_pb2.DEVICE_KIND_VEHICLE:
            mismatch = FieldViolation("device_id", "KIND_MISMATCH", "must be a vehicle")
            raise InvalidArgument([mismatch], metadata={"device_id": device_id, "kind": kind_name(device.kind)})
        links = [MeterLink(*charge) for charge in self._registry.links_of_vehicle(device_id)]
        parts = meters_by_window(window, links)
        # The vehicle and the meters that were linked all the time are one question.
        questions = {**parts, window: [device_id, *parts.get(window, ())]}
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._usage.measured(device_ids, part, time_remaining_seconds))
                for part, device_ids in questions.items()
            ]
        measured = [answer for task in asked for answer in task.result()]
        return performance_of(
            window,
            next((answer for answer in measured if answer.device_id == device_id), None),
            [answer for answer in measured if answer.device_id != device_id],
            [meter_id for meter_ids in parts.values() for meter_id in meter_ids],
        )
