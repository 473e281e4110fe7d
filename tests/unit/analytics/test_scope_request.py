"""What people may ask of periods of devices; every broken rule is named with its field, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.device_scope_pb2 import DeviceScope
from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import Scope
from analytics.performance.scope_request import (
    DAY_MS,
    comparison_question,
    require_affordable,
    stats_question,
    top_question,
)
from analytics.usage.measured_energy import Window
from common.errors import InvalidArgument, RequestTooExpensive
from common.instants import from_ms

TOP: dict[str, Any] = {"scope": DeviceScope(region="R"), "start_time": from_ms(0), "end_time": from_ms(DAY_MS)}
COMPARED: dict[str, Any] = {
    "scope": DeviceScope(device_id="m"),
    "first_start_time": from_ms(0),
    "first_end_time": from_ms(DAY_MS),
    "second_start_time": from_ms(DAY_MS),
    "second_end_time": from_ms(3 * DAY_MS),
}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"scope": None}, ["scope"]),
        ({"scope": DeviceScope()}, ["scope"]),
        ({"scope": DeviceScope(all=False)}, ["scope"]),
        ({"scope": DeviceScope(region="")}, ["scope.region"]),
        ({"scope": DeviceScope(region="r" * 65)}, ["scope.region"]),
        ({"scope": DeviceScope(site_id="s" * 129)}, ["scope.site_id"]),
        ({"kind": 77}, ["kind"]),
        ({"limit": 101}, ["limit"]),
        ({"limit": -1}, ["limit"]),
        ({"start_time": None, "limit": 101}, ["start_time", "limit"]),
        ({"end_time": from_ms(0)}, ["end_time"]),
    ],
)
def test_what_is_wrong_with_a_question_is_named(change: dict[str, Any], fields: list[str]) -> None:
    """Every field."""
    with pytest.raises(InvalidArgument) as refused:
        top_question(pb.ListTopConsumersRequest(**(TOP | change)))

    assert [violation.field for violation in refused.value.violations] == fields


@pytest.mark.parametrize(("given", "limit"), [(0, 10), (1, 1), (100, 100)])
def test_without_a_limit_ten_are_listed(given: int, limit: int) -> None:
    """At most a hundred."""
    assert top_question(pb.ListTopConsumersRequest(**TOP, limit=given)).limit == limit


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (DeviceScope(device_id="m-1"), "device m-1"),
        (DeviceScope(region="Pune-East"), "region Pune-East"),
        (DeviceScope(account_id="acc-1"), "account acc-1"),
        (DeviceScope(site_id="site-1"), "site site-1"),
        (DeviceScope(group_id="group-1"), "group group-1"),
        (DeviceScope(all=True), "all"),
    ],
)
def test_each_scope_is_understood(scope: DeviceScope, expected: str) -> None:
    """And told as people read it."""
    asked = pb.GetStatsRequest(
        scope=scope, kind=device_pb2.DEVICE_KIND_STORAGE, start_time=from_ms(0), end_time=from_ms(1)
    )

    question = stats_question(asked)

    assert (str(question.scope), question.scope.kind) == (expected, device_pb2.DEVICE_KIND_STORAGE)


def test_the_previous_period_ends_where_the_period_starts() -> None:
    """And is as long, to the millisecond."""
    asked = pb.GetStatsRequest(scope=DeviceScope(all=True), start_time=from_ms(1_000), end_time=from_ms(1_007))

    assert stats_question(asked).previous == Window(993, 1_000)


def test_periods_may_be_of_any_length_to_be_compared() -> None:
    """A day and two."""
    question = comparison_question(pb.ComparePeriodsRequest(**COMPARED, time_zone="Asia/Kolkata"))

    assert question.scope == Scope("device_id", "m")
    assert (question.first, question.second) == (Window(0, DAY_MS), Window(DAY_MS, 3 * DAY_MS))
    assert question.zone == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"first_start_time": None, "second_end_time": None}, ["first_start_time", "second_end_time"]),
        ({"second_end_time": from_ms(DAY_MS)}, ["second_end_time"]),
        ({"time_zone": "Mars/Olympus"}, ["time_zone"]),
        ({"time_zone": "../etc/passwd"}, ["time_zone"]),
        ({"time_zone": "Asia"}, ["time_zone"]),
    ],
)
def test_what_is_wrong_with_a_comparison_is_named(change: dict[str, Any], fields: list[str]) -> None:
    """By the names of its own fields."""
    with pytest.raises(InvalidArgument) as refused:
        comparison_question(pb.ComparePeriodsRequest(**(COMPARED | change)))

    assert [violation.field for violation in refused.value.violations] == fields


def test_periods_that_are_too_long_are_refused() -> None:
    """Half as long where the period before is asked about too."""
    longest = TOP | {"end_time": from_ms(3660 * DAY_MS)}
    stats = {"scope": DeviceScope(all=True), "start_time": from_ms(0)}

    assert top_question(pb.ListTopConsumersRequest(**longest)).window.end_ms == 3660 * DAY_MS
    assert stats_question(pb.GetStatsRequest(**stats, end_time=from_ms(1830 * DAY_MS)))  # type: ignore[arg-type]
    with pytest.raises(RequestTooExpensive):
        top_question(pb.ListTopConsumersRequest(**(longest | {"end_time": from_ms(3660 * DAY_MS + 1)})))
    with pytest.raises(RequestTooExpensive):
        stats_question(pb.GetStatsRequest(**stats, end_time=from_ms(1830 * DAY_MS + 1)))  # type: ignore[arg-type]


def test_devices_times_days_are_bounded_over_all_periods() -> None:
    """A begun day counts whole."""
    require_affordable(100_000, [Window(0, DAY_MS), Window(0, 3 * DAY_MS)])
    with pytest.raises(RequestTooExpensive):
        require_affordable(100_000, [Window(0, DAY_MS + 1), Window(0, 3 * DAY_MS)])
