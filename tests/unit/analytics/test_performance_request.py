"""What people may ask of performance; every broken rule is named with its field, all at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import efficiency_state_pb2
from energy.analytics.v1.device_scope_pb2 import DeviceScope

from analytics.fleet.device_scope import Scope
from analytics.performance.efficiency_state import EfficiencyState
from analytics.performance.fleet_performance_report import FleetQuestion
from analytics.performance.performance_request import device_window, fleet_question
from analytics.usage.measured_energy import Window
from common.errors import InvalidArgument
from common.instants import from_ms

DAY_MS = 86_400_000
NOW_MS = 1_000 * DAY_MS


def test_a_fleet_is_asked_about_over_the_last_day_unless_told_otherwise() -> None:
    """And a hundred vehicles are listed, in any state."""
    question = fleet_question(pb.GetFleetPerformanceRequest(scope=DeviceScope(all=True)), NOW_MS)

    assert question == FleetQuestion(Scope("all", ""), Window(NOW_MS - DAY_MS, NOW_MS), 100, set())


def test_states_may_be_named() -> None:
    """Each by its number in the contract, whose names are ours."""
    numbers = efficiency_state_pb2.EfficiencyState.values()[1:]
    request = pb.GetFleetPerformanceRequest(scope=DeviceScope(all=True), efficiency_states=numbers, limit=1000)

    question = fleet_question(request, NOW_MS)

    assert (question.states, question.limit) == (set(EfficiencyState), 1000)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"limit": 1001, "scope": None}, ["scope", "limit"]),
        ({"limit": -1}, ["limit"]),
        ({"efficiency_states": [1, 0, 77]}, ["efficiency_states[1]", "efficiency_states[2]"]),
        ({"start_time": from_ms(NOW_MS)}, ["start_time"]),
    ],
)
def test_what_is_wrong_with_a_question_about_a_fleet_is_named(fields: dict[str, Any], named: list[str]) -> None:
    """Every field."""
    asked: dict[str, Any] = {"scope": DeviceScope(region="R")} | fields

    with pytest.raises(InvalidArgument) as refused:
        fleet_question(pb.GetFleetPerformanceRequest(**asked), NOW_MS)

    assert [violation.field for violation in refused.value.violations] == named


@pytest.mark.parametrize("capacity_kwh", [0.0, -1.0, 1_000_000.1, math.nan, math.inf])
def test_a_capacity_is_a_number_that_a_battery_can_have(capacity_kwh: float) -> None:
    """It may be left out."""
    with pytest.raises(InvalidArgument) as refused:
        device_window(pb.GetStoragePerformanceRequest(capacity_kwh=capacity_kwh), NOW_MS)

    assert [violation.field for violation in refused.value.violations] == ["device_id", "capacity_kwh"]
    assert device_window(pb.GetStoragePerformanceRequest(device_id="b"), NOW_MS) == Window(NOW_MS - DAY_MS, NOW_MS)
