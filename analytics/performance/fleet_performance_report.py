"""Who knows how well the vehicles of a fleet charged: they are asked about together, for one by one is too many."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import Scope, devices_of
from analytics.performance.charging_limits import ChargingLimits
from analytics.performance.efficiency_state import EfficiencyState, charging_state
from analytics.performance.fleet_performance import FleetLinks, FleetPerformance, JudgedVehicle, fleet_performance
from analytics.performance.performance import MeterLink, Performance
from analytics.performance.scope_request import DEVICE_DAYS_MAXIMUM, device_days
from analytics.usage import period_usage
from analytics.usage.measured_energy import MeasuredEnergy, Window
from analytics.usage.period_totals import DeviceTotals
from analytics.usage.period_usage import CALLS_MAXIMUM, PeriodUsage, TimeRemaining
from analytics.usage.usage_client import DEVICES_MAXIMUM
from common.errors import RequestTooExpensive
from common.registry_cache import RegistryCache


@dataclass(frozen=True, slots=True)
class FleetQuestion:
    """The vehicles of a scope in a window; of those in some states (none: any) so many are listed."""

    scope: Scope
    window: Window
    limit: int
    states: Collection[EfficiencyState]


class FleetPerformanceReport:
    """Answers one question about many vehicles."""

    def __init__(self, registry: RegistryCache, usage: PeriodUsage, limits: ChargingLimits) -> None:
        self._registry = registry
        self._usage = usage
        self._limits = limits

    def judged(self, device_id: str, performance: Performance) -> JudgedVehicle:
        """What can be said of how a vehicle charged."""
        limits = self._limits.of(device_id)
        state = charging_state(performance.dc_milliwatt_hours, performance.ac_milliwatt_hours, limits)
        return JudgedVehicle(device_id, performance, state)

    async def of(self, question: FleetQuestion, time_remaining: TimeRemaining) -> tuple[FleetPerformance, int | None]:
        """How a fleet charged, and what that is complete through, UTC milliseconds.

        Raises what `devices_of` does, and what `UsageClient` does, that in an exception group.

        Raises:
            RequestTooExpensive: too many devices, days, or parts of the window in which meters were linked.
        """
        scope = Scope(question.scope.field, question.scope.name, device_pb2.DEVICE_KIND_VEHICLE)
        vehicles = await devices_of(scope, self._registry, kind_field="scope.device_id")
        links = FleetLinks(
            question.window,
            {
                vehicle.device_id: [MeterLink(*charge) for charge in self._registry.links_of_vehicle(vehicle.device_id)]
                for vehicle in vehicles
            },
        )
        questions = links.questions()
        _require_affordable(questions)
        async with asyncio.TaskGroup() as group:
            asked = {
                part: group.create_task(self._usage.sums(device_ids, part, time_remaining))
                for part, device_ids in questions.items()
            }
        measured = {
            (part, device.device_id): _energy(device)
            for part, task in asked.items()
            for device in task.result().devices
        }
        judged = [self.judged(*one) for one in links.performances(measured).items()]
        through_ms = period_usage.earliest(task.result().complete_through_ms for task in asked.values())
        return fleet_performance(question.window, judged, question.states, question.limit), through_ms


def _energy(device: DeviceTotals) -> MeasuredEnergy:
    """Of a meter what flowed in is its import, of a vehicle what was delivered to the battery."""
    return MeasuredEnergy(
        device.device_id,
        device.reading_count,
        device.in_milliwatt_hours,
        device.in_milliwatt_hours,
        device.mean_temperature_celsius,
    )


def _require_affordable(questions: dict[Window, list[str]]) -> None:
    days = sum(device_days(len(device_ids), [part]) for part, device_ids in questions.items())
    if days > DEVICE_DAYS_MAXIMUM:
        raise RequestTooExpensive(f"at most {DEVICE_DAYS_MAXIMUM} vehicles and meters times days at once")
    calls = sum(-(-len(device_ids) // DEVICES_MAXIMUM) for device_ids in questions.values())
    if calls > CALLS_MAXIMUM:
        raise RequestTooExpensive(f"at most {CALLS_MAXIMUM} parts of the window in which meters were linked")
