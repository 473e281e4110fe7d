"""What cannot be rated: each boundary from both sides."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import rate
from common.errors import IntervalCrossesPrice, NoReadings, TariffNotAssigned
from tests.unit.billing.rating_cases import FLAT, quarter, rated


@pytest.mark.parametrize("quarters", [[], [quarter("2026-01-01T00:00", None)]])
def test_a_period_without_a_reading_to_bill_is_refused(quarters: list[Quarter]) -> None:
    """Nothing measured is not the same as nothing used."""
    with pytest.raises(NoReadings):
        rated(quarters)


def test_a_reading_may_end_at_the_instant_of_a_price_change() -> None:
    """17:00 to 18:00 ends where the peak begins, and is off-peak."""
    (line,) = rated([quarter("2026-01-01T17:00", "1", minutes=60)], ("tou", "2026-01-01"))

    assert line.price_name == "off-peak"


def test_a_reading_that_reaches_over_a_price_change_is_refused_by_its_start() -> None:
    """One minute over 18:00 cannot be priced."""
    late = quarter("2026-01-01T17:45", "1", minutes=16)

    with pytest.raises(IntervalCrossesPrice) as refused:
        rated([quarter("2026-01-01T12:00", "1"), late], ("tou", "2026-01-01"))

    assert refused.value.metadata == {"device_id": "m-1", "start_time": "2026-01-01T17:45:00.000Z"}


def test_a_reading_that_reaches_over_the_period_into_another_price_is_refused() -> None:
    """The last reading may cross the end of the period, but not the change that lies there."""
    last = quarter("2026-01-01T23:45", "1", minutes=30)

    assert rated([last], ("flat-5", "2026-01-01"))[0].quantity == Decimal(1)
    with pytest.raises(IntervalCrossesPrice):
        rated([last], ("flat-5", "2026-01-01"), ("flat-9", "2026-01-02"))


def test_a_reading_that_reaches_over_a_change_of_tariff_is_refused() -> None:
    """Also where the change lies within the quarter-hour, for its readings are not told apart."""
    with pytest.raises(IntervalCrossesPrice):
        rated([quarter("2026-01-01T10:00", "1")], ("flat-5", "2026-01-01"), ("flat-9", "2026-01-01T10:07"))


def test_readings_that_end_before_a_change_of_tariff_in_their_quarter_hour_are_billed() -> None:
    """What ends at 10:07 was used before 10:07."""
    lines = rated(
        [quarter("2026-01-01T10:00", "1", minutes=7)], ("flat-5", "2026-01-01"), ("flat-9", "2026-01-01T10:07")
    )

    assert lines[0].tariff == FLAT


def test_assigning_the_same_tariff_again_is_no_change() -> None:
    """A reading may reach over it."""
    lines = rated([quarter("2026-01-01T10:00", "1")], ("flat-5", "2026-01-01"), ("flat-5", "2026-01-01T10:07"))

    assert lines[0].quantity == Decimal(1)


def test_a_daily_reading_is_billed_flat_and_refused_by_the_clock() -> None:
    """24 hours cross no flat price and both changes of a day."""
    daily = quarter("2026-01-01T00:00", "12.5", minutes=1440)

    assert rated([daily])[0].quantity == Decimal("12.5")
    with pytest.raises(IntervalCrossesPrice):
        rated([daily], ("tou", "2026-01-01"))


@pytest.mark.parametrize("assigned", [("flat-5", "2026-01-01T12:15"), ("flat-5", "2027-01-01")])
def test_a_reading_before_the_first_tariff_is_refused(assigned: tuple[str, str]) -> None:
    """Also one of no energy: a meter that is read has somebody who answers for it."""
    with pytest.raises(TariffNotAssigned) as refused:
        rated([quarter("2026-01-01T12:00", "0"), quarter("2026-01-01T12:15", "1")], assigned)

    assert refused.value.metadata["start_time"] == "2026-01-01T12:00:00.000Z"


def test_a_reading_that_reaches_from_before_the_first_tariff_into_it_is_refused() -> None:
    """Nobody knows how much of it was used before."""
    with pytest.raises(TariffNotAssigned):
        rated([quarter("2026-01-01T12:00", "1")], ("flat-5", "2026-01-01T12:07"))


def test_who_joins_within_the_period_is_billed_from_then_on() -> None:
    """Of four days the first two have no tariff and no readings: two days at 10.00 and one kWh at 5.00."""
    days = (date(2026, 1, 1), date(2026, 1, 5))

    lines = rated([quarter("2026-01-04T12:00", "1")], ("flat-5", "2026-01-03"), days=days)

    assert [(line.quantity, line.unit_price) for line in lines] == [
        (Decimal(1), Decimal(5)),
        (Decimal(2), Decimal(10)),
    ]


@pytest.mark.parametrize(
    "assigned",
    [
        [("flat-5", "2026-01-01"), ("", "2026-01-01T12:00")],
        [("flat-5", "2026-01-01"), ("", "2026-01-01T12:00"), ("flat-5", "2026-01-01T18:00")],
    ],
    ids=["until the end", "for some hours"],
)
def test_a_reading_after_the_end_of_a_tariff_is_refused(assigned: list[tuple[str, str]]) -> None:
    """It is named; without such a reading the rest is billed."""
    before, after = quarter("2026-01-01T11:45", "1"), quarter("2026-01-01T12:15", "1")

    with pytest.raises(TariffNotAssigned) as refused:
        rated([before, after], *assigned)

    assert refused.value.metadata["start_time"] == "2026-01-01T12:15:00.000Z"
    assert rated([before], *assigned)[0].quantity == Decimal(1)


def test_a_device_without_any_tariff_is_refused() -> None:
    """There is no default tariff."""
    with pytest.raises(TariffNotAssigned):
        rate(
            device_id="m-1",
            zone=ZoneInfo("UTC"),
            start_date=date(2026, 1, 1),
            end_date=date(2026, 1, 2),
            assignments=[],
            tariffs={},
            quarters=[quarter("2026-01-01T00:00", "1")],
        )


@pytest.mark.parametrize("start", ["2025-12-31T23:45", "2026-01-02T00:00"])
def test_a_quarter_outside_of_the_period_is_a_defect_of_the_caller(start: str) -> None:
    """It is neither billed nor dropped in silence."""
    with pytest.raises(ValueError, match="start in the period"):
        rated([quarter("2026-01-01T12:00", "1"), quarter(start, "1")])
