"""Whose bill is missed where a meter has no energy in a period."""

from dataclasses import dataclass

import pytest

from billing.invoices.meter_part import has_no_part

START_MS, END_MS = 1_000, 2_000


@dataclass(frozen=True)
class Meter:
    """A meter as it is registered."""

    create_time_ms: int = 0
    update_time_ms: int = 0
    is_decommissioned: bool = False
    device_id: str = "meter-1"
    kind: int = 1
    account_id: str = "acc-1"
    site_id: str = ""
    group_ids: tuple[str, ...] = ()
    region: str = ""
    time_zone: str = "UTC"


@pytest.mark.parametrize(
    ("meter", "has_tariff", "expected"),
    [
        (Meter(), True, False),
        (Meter(), False, True),
        (Meter(create_time_ms=END_MS), True, True),
        (Meter(create_time_ms=END_MS - 1), True, False),
        (Meter(update_time_ms=START_MS, is_decommissioned=True), True, True),
        (Meter(update_time_ms=START_MS + 1, is_decommissioned=True), True, False),
        (Meter(update_time_ms=START_MS), True, False),
    ],
    ids=[
        "one with a tariff is missed",
        "one without is not",
        "registered at the end of the period",
        "registered within it",
        "out of operation at its start",
        "perhaps taken out within it",
        "changed before it",
    ],
)
def test_a_meter_without_energy_is_missed_unless_it_was_not_there(
    meter: Meter,
    has_tariff: bool,
    expected: bool,
) -> None:
    """Registered later, decommissioned before, or never given a tariff."""
    assert has_no_part(meter, START_MS, END_MS, has_tariff=has_tariff) is expected
