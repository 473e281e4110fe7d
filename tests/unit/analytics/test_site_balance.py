"""The balance of a site: its connection beside what is behind it, and what is said where something is missing."""

from __future__ import annotations

from typing import Any

import pytest
from energy.analytics.v1 import analytics_service_pb2 as pb

from analytics.performance.site_balance import BalanceState, SiteDevice, SiteMember, SiteRole, roles, site_balance
from analytics.site_methods import site_question
from analytics.usage.measured_energy import Window
from common.errors import InvalidArgument

DAY = Window(0, 86_400_000)
GRID, CHARGER, STORAGE, OTHER = SiteRole


def device(role: SiteRole, taken: int | None, given: int | None = None, **differs: Any) -> SiteDevice:
    """A device of which no reading is missing."""
    fields: dict[str, Any] = {"is_active": True, "reading_count": 96, "covered_share": 1.0} | differs
    name = fields.pop("name", role.value.lower())
    return SiteDevice(name, role, in_milliwatt_hours=taken, out_milliwatt_hours=given, **fields)


def member(device_id: str, *, is_storage: bool = False, is_linked: bool = False) -> SiteMember:
    """A device of the registry."""
    return SiteMember(device_id, is_storage, is_linked, is_active=True)


@pytest.mark.parametrize("named", [[], ["main"]])
def test_the_only_meter_without_a_vehicle_is_that_of_the_connection(named: list[str]) -> None:
    """Or the one that is named."""
    members = [member("main"), member("charger", is_linked=True), member("pack", is_storage=True)]

    assert roles(members, named) == {"main": GRID, "charger": CHARGER, "pack": STORAGE}


def test_of_several_meters_those_of_the_connection_have_to_be_named() -> None:
    """The others are behind it; of none at all there is no connection."""
    members = [member("main-1"), member("main-2"), member("sun"), member("charger", is_linked=True)]

    assert roles(members, []) is None
    assert roles(members, ["main-1", "main-2"]) == {"main-1": GRID, "main-2": GRID, "sun": OTHER, "charger": CHARGER}
    assert roles([member("charger", is_linked=True)], []) is None


def test_what_went_through_the_connection_is_all_that_is_behind_it_and_the_residual() -> None:
    """A sun that gives, a battery that gives back, a car that feeds back, a house without a meter."""
    devices = [
        device(GRID, 900, 100, name="main-1"),
        device(GRID, 200, None, name="main-2"),
        device(CHARGER, 400, 50),
        device(STORAGE, 300, 200),
        device(OTHER, 20, 420, name="sun"),
    ]

    found = site_balance(DAY, devices, 5.0)

    assert (found.grid_in, found.grid_out) == (1_100, 100)
    assert (found.chargers, found.storage, found.other_meters) == (350, 100, -400)
    assert found.residual == 1_000 - (350 + 100 - 400)
    assert found.residual_percent == 100 * 950 / (1_100 + 50 + 200 + 420)
    assert found.state is BalanceState.UNEXPLAINED
    assert [one.device_id for one in found.devices] == ["charger", "main-1", "main-2", "storage", "sun"]


@pytest.mark.parametrize(
    ("charged", "tolerance_percent", "state"),
    [
        (1_000, 0.0, BalanceState.BALANCED),
        (950, 5.0, BalanceState.BALANCED),
        (949, 5.0, BalanceState.UNEXPLAINED),
        (1_050, 5.0, BalanceState.BALANCED),
        (1_051, 5.0, BalanceState.DATA_ERROR),
        (999, 0.0, BalanceState.UNEXPLAINED),
    ],
)
def test_a_residual_within_the_tolerance_is_balanced(
    charged: int, tolerance_percent: float, state: BalanceState
) -> None:
    """Beyond it more went in than is explained, or more is measured than went in."""
    assert site_balance(DAY, [device(GRID, 1_000), device(CHARGER, charged)], tolerance_percent).state is state


def test_a_site_that_took_nothing_is_balanced_unless_something_behind_it_did() -> None:
    """Of nothing there is no percentage."""
    quiet = site_balance(DAY, [device(GRID, 0), device(CHARGER, 0)], 5.0)
    wrong = site_balance(DAY, [device(GRID, 0), device(CHARGER, 7)], 5.0)

    assert (quiet.residual, quiet.residual_percent, quiet.state) == (0, None, BalanceState.BALANCED)
    assert (wrong.residual, wrong.residual_percent, wrong.state) == (-7, None, BalanceState.DATA_ERROR)


@pytest.mark.parametrize(
    ("differs", "is_missing"),
    [
        ({}, False),
        ({"covered_share": 0.99}, False),
        ({"covered_share": 0.98}, True),
        ({"covered_share": 0.0, "reading_count": 0}, True),
        ({"covered_share": 0.0, "reading_count": 0, "is_active": False}, False),
        ({"covered_share": 0.5, "is_active": False}, True),
    ],
    ids=str,
)
def test_nothing_is_judged_while_readings_are_missing(differs: dict[str, Any], is_missing: bool) -> None:
    """The residual is still told, and whose readings are missing."""
    found = site_balance(DAY, [device(GRID, 1_000), device(CHARGER, 100, **differs)], 5.0)

    assert found.residual == 900
    assert list(found.missing) == (["charger"] if is_missing else [])
    assert found.state is (BalanceState.INCOMPLETE if is_missing else BalanceState.UNEXPLAINED)


def test_a_connection_of_which_one_meter_measured_nothing_is_not_known() -> None:
    """Half of it would be a wrong number."""
    found = site_balance(DAY, [device(GRID, 5, name="one"), device(GRID, None, name="two"), device(CHARGER, 3)], 5.0)

    assert (found.grid_in, found.grid_out, found.residual, found.residual_percent) == (None, None, None, None)
    assert (found.chargers, found.other_meters, found.state) == (3, None, BalanceState.NO_DATA)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"site_id": ""}, ["site_id"]),
        ({"site_id": "s" * 129, "tolerance_percent": 100.5}, ["site_id", "tolerance_percent"]),
        ({"tolerance_percent": float("nan")}, ["tolerance_percent"]),
        ({"grid_meter_ids": ["m"] * 101}, ["grid_meter_ids"]),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_question_is_named(fields: dict[str, Any], named: list[str]) -> None:
    """Every field."""
    with pytest.raises(InvalidArgument) as refused:
        site_question(pb.GetSiteBalanceRequest(**({"site_id": "site"} | fields)), 10**12)

    assert [violation.field for violation in refused.value.violations] == named


def test_a_tolerance_of_nothing_is_one() -> None:
    """Only without one it is five per cent."""
    assert site_question(pb.GetSiteBalanceRequest(site_id="s", tolerance_percent=0.0), 10**12).tolerance_percent == 0.0
    assert site_question(pb.GetSiteBalanceRequest(site_id="s"), 10**12).tolerance_percent == 5.0
