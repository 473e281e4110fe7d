"""How vehicles and batteries did, as messages; what is not known stays absent."""

from __future__ import annotations

from energy.analytics.v1 import efficiency_state_pb2, fleet_performance_pb2, performance_pb2, storage_performance_pb2

from analytics.performance.efficiency_state import EfficiencyState
from analytics.performance.fleet_performance import FleetPerformance, JudgedVehicle
from analytics.performance.performance import efficiency
from analytics.performance.storage_performance import StoragePerformance
from common.instants import from_ms, optional_from_ms

_MILLIWATT_HOURS_A_KWH = 1_000_000


def performance_message(vehicle: JudgedVehicle) -> performance_pb2.Performance:
    """How a vehicle charged."""
    performance = vehicle.performance
    # A field that is given None stays absent.
    return performance_pb2.Performance(
        device_id=vehicle.device_id,
        start_time=from_ms(performance.window.start_ms),
        end_time=from_ms(performance.window.end_ms),
        ac_kwh=_kwh(performance.ac_milliwatt_hours),
        dc_kwh=_kwh(performance.dc_milliwatt_hours),
        efficiency=performance.efficiency,
        battery_temperature_celsius=performance.battery_temperature_celsius,
        meter_ids=performance.meter_ids,
        reading_count=performance.reading_count,
        loss_kwh=_kwh(performance.loss_milliwatt_hours),
        efficiency_state=_state_number(vehicle.state),
    )


def fleet_message(fleet: FleetPerformance) -> fleet_performance_pb2.FleetPerformance:
    """How a fleet charged."""
    ac, dc = fleet.ac_milliwatt_hours, fleet.dc_milliwatt_hours
    return fleet_performance_pb2.FleetPerformance(
        start_time=from_ms(fleet.window.start_ms),
        end_time=from_ms(fleet.window.end_ms),
        vehicle_count=fleet.vehicle_count,
        state_counts=[
            fleet_performance_pb2.EfficiencyStateCount(
                efficiency_state=_state_number(state), vehicle_count=fleet.state_counts[state]
            )
            for state in sorted(fleet.state_counts, key=_state_number)
        ],
        compared_vehicle_count=fleet.compared_count,
        ac_kwh=_kwh(ac),
        dc_kwh=_kwh(dc),
        loss_kwh=None if ac is None or dc is None else _kwh(ac - dc),
        efficiency=efficiency(dc, ac),
        vehicles=map(performance_message, fleet.vehicles),
    )


def storage_message(device_id: str, storage: StoragePerformance) -> storage_performance_pb2.StoragePerformance:
    """How a battery did."""
    turnover = storage.turnover
    return storage_performance_pb2.StoragePerformance(
        device_id=device_id,
        start_time=from_ms(storage.window.start_ms),
        end_time=from_ms(storage.window.end_ms),
        measured_start_time=optional_from_ms(turnover.first.end_ms if turnover else None),
        measured_end_time=optional_from_ms(turnover.last.end_ms if turnover else None),
        start_state_of_charge_percent=turnover.first.percent if turnover else None,
        end_state_of_charge_percent=turnover.last.percent if turnover else None,
        charge_kwh=_kwh(turnover.charge_milliwatt_hours if turnover else None),
        discharge_kwh=_kwh(turnover.discharge_milliwatt_hours if turnover else None),
        capacity_kwh=storage.capacity_kwh,
        stored_difference_kwh=_kwh(storage.stored_milliwatt_hours),
        loss_kwh=_kwh(storage.loss_milliwatt_hours),
        round_trip_efficiency=storage.efficiency,
        efficiency_state=_state_number(storage.state),
    )


def _state_number(state: EfficiencyState) -> efficiency_state_pb2.EfficiencyState.ValueType:
    return efficiency_state_pb2.EfficiencyState.Value(f"EFFICIENCY_STATE_{state.value}")


def _kwh(milliwatt_hours: float | None) -> float | None:
    return None if milliwatt_hours is None else milliwatt_hours / _MILLIWATT_HOURS_A_KWH
