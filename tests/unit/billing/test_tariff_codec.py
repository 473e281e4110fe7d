"""Tariffs on the wire and at rest: the way there and back, and what cannot be read."""

from datetime import date
from decimal import Decimal

import pytest
from energy.billing.v1 import tariff_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.dayofweek_pb2 import DayOfWeek
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariffs.tariff import (
    DemandCharge,
    ExportMode,
    ExportTerms,
    FlatPricing,
    IntervalCrossing,
    PriceStep,
    Rounding,
    RoundingLevel,
    Tariff,
    TariffClock,
    TierAllowance,
    TierCounter,
    TierRules,
    TierVolume,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import AssignmentVersion, Correction, TariffAssignment
from billing.tariffs.tariff_codec import (
    assignment_from_message,
    assignment_message,
    tariff_from_message,
    tariff_message,
)
from billing.tariffs.tariff_document import (
    assignment_from_document,
    assignment_to_document,
    tariff_from_document,
    tariff_to_document,
)
from billing.tariffs.tariff_reader import decimal_message
from common.errors import InvalidArgument
from common.money import RoundingMode

PRICES = st.decimals(-1_000_000, 1_000_000, places=8)
CHARGES = st.decimals(0, 1_000_000, places=8)
PERCENTS = st.decimals(0, 100, places=4)
STEPS = st.lists(
    st.tuples(st.decimals(Decimal("0.000001"), 1_000_000, places=6), PRICES), max_size=3, unique_by=lambda step: step[0]
).map(lambda drawn: tuple(PriceStep(above_kwh, per_kwh) for above_kwh, per_kwh in sorted(drawn)))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64)
WINDOWS = st.builds(
    TimeOfUseWindow,
    st.frozensets(st.integers(0, 6)),
    st.integers(0, 47).map(lambda quarter: 15 * quarter),
    st.integers(48, 96).map(lambda quarter: 15 * quarter),
    st.frozensets(st.integers(1, 12)),
)
PERIODS = st.builds(TimeOfUsePeriod, NAMES, PRICES, st.lists(WINDOWS, min_size=1, max_size=3).map(tuple), STEPS)
TIME_OF_USE = st.lists(PERIODS, min_size=1, max_size=4, unique_by=lambda period: period.name).flatmap(
    lambda periods: st.builds(
        TimeOfUsePricing,
        st.just(tuple(periods)),
        NAMES.filter(lambda name: name not in {period.name for period in periods}),
        PRICES,
        st.frozensets(st.dates(date(1970, 1, 1), date(9998, 12, 31)), max_size=5),
        STEPS,
    )
)
DEMAND_CHARGES = st.builds(
    DemandCharge,
    NAMES,
    CHARGES,
    st.sampled_from([15, 30, 60]),
    st.lists(WINDOWS, max_size=2).map(tuple),
    PERCENTS,
    st.integers(1, 12),
    st.booleans(),
)
EXPORT_TERMS = st.builds(
    ExportTerms,
    st.sampled_from([ExportMode.NET_BILLING, ExportMode.INTERVAL_NETTING]),
    st.builds(FlatPricing, PRICES),
    st.integers(1, 12),
)
TARIFFS = st.builds(
    Tariff,
    st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True),
    st.text(max_size=200),
    st.sampled_from(["INR", "USD", "JPY", "KWD"]),
    st.builds(FlatPricing, PRICES, STEPS) | TIME_OF_USE,
    st.none() | CHARGES,
    PERCENTS,
    st.none() | CHARGES,
    st.none() | CHARGES,
    st.none() | PERCENTS,
    st.none() | PERCENTS,
    st.builds(TierRules, st.sampled_from(TierAllowance), st.sampled_from(TierCounter), st.sampled_from(TierVolume)),
    st.lists(DEMAND_CHARGES, max_size=3, unique_by=lambda charge: charge.name).map(tuple),
    st.none() | EXPORT_TERMS,
    st.sampled_from(TariffClock),
    st.builds(Rounding, st.sampled_from(RoundingMode), st.sampled_from(RoundingLevel)),
    st.sampled_from(IntervalCrossing),
)


def money(units: int = 0, nanos: int = 0, currency_code: str = "INR") -> Money:
    """An amount on the wire."""
    return Money(currency_code=currency_code, units=units, nanos=nanos)


def flat_message(**changed: object) -> tariff_pb2.Tariff:
    """A valid flat tariff of 5.00 INR but for what is changed."""
    fields: dict[str, object] = {
        "tariff_id": "flat-5",
        "currency_code": "INR",
        "flat": tariff_pb2.FlatPricing(price_per_kwh=money(5)),
    }
    return tariff_pb2.Tariff(**{**fields, **changed})  # type: ignore[arg-type]


def violated(message: tariff_pb2.Tariff) -> list[tuple[str, str]]:
    """Path and reason of each violation of a message that is refused."""
    with pytest.raises(InvalidArgument) as refused:
        tariff_from_message(message)
    return [(violation.field, violation.reason) for violation in refused.value.violations]


@settings(deadline=None, derandomize=True)
@given(tariff=TARIFFS, create_time_ms=st.integers(0, 4_000_000_000_000))
def test_a_tariff_comes_back_from_the_wire_and_from_rest_as_it_was(tariff: Tariff, create_time_ms: int) -> None:
    """Exactly, to the last of eight decimals."""
    message = tariff_message(tariff, create_time_ms)
    document = tariff_to_document(tariff, create_time_ms)

    assert tariff_from_message(tariff_pb2.Tariff.FromString(message.SerializeToString())) == tariff
    assert tariff_from_document(document) == (tariff, create_time_ms)


def test_no_amount_at_rest_is_a_binary_float() -> None:
    """Prices rest as units and billionths, percentages as decimal text."""
    period = TimeOfUsePeriod("peak", Decimal("0.1"), (TimeOfUseWindow(frozenset({0}), 0, 60),))
    pricing = TimeOfUsePricing((period,), "rest", Decimal("0.2"))
    document = tariff_to_document(Tariff("t", "", "USD", pricing, Decimal("0.3"), Decimal("7.7")), 0)

    kept = document["tariff"]
    assert kept["time_of_use"]["periods"][0]["price_per_kwh"] == {"currency_code": "USD", "nanos": 100_000_000}
    assert kept["daily_charge"] == {"currency_code": "USD", "nanos": 300_000_000}
    assert kept["tax_percent"] == {"value": "7.7"}


def test_days_of_the_week_are_those_of_the_contract() -> None:
    """Monday is weekday 0 here and 1 there."""
    window = TimeOfUseWindow(frozenset({0, 6}), 0, 60)
    pricing = TimeOfUsePricing((TimeOfUsePeriod("peak", Decimal(1), (window,)),), "rest", Decimal(1))

    message = tariff_message(Tariff("t", "", "USD", pricing, None, Decimal(18)), 0)

    days = message.time_of_use.periods[0].windows[0].days_of_week
    assert [DayOfWeek.Name(day) for day in days] == ["MONDAY", "SUNDAY"]


@pytest.mark.parametrize(
    ("holidays", "violation"),
    [
        ([Date(year=2026, month=2, day=30)], ("holidays[0]", "INVALID_FORMAT")),
        ([Date(year=2026, month=1)], ("holidays[0]", "INVALID_FORMAT")),
        ([Date(year=2026, month=1, day=26)] * 2, ("holidays[1]", "INVALID_FORMAT")),
        ([Date(year=2026 + day // 300, month=1 + day // 25 % 12, day=1 + day % 25) for day in range(1001)], None),
    ],
)
def test_a_holiday_is_a_day_of_the_calendar_and_there_once(
    holidays: list[Date], violation: tuple[str, str] | None
) -> None:
    """Thirty days hath no February; more than a thousand holidays are a mistake."""
    window = tariff_pb2.TimeOfUseWindow(end_minute=60)
    period = tariff_pb2.TimeOfUsePeriod(name="peak", price_per_kwh=money(9), windows=[window])
    message = flat_message()
    message.time_of_use.CopyFrom(
        tariff_pb2.TimeOfUsePricing(
            periods=[period], default_name="rest", default_price_per_kwh=money(5), holidays=holidays
        )
    )

    field, reason = ("holidays", "OUT_OF_RANGE") if violation is None else violation
    assert violated(message) == [(f"tariff.time_of_use.{field}", reason)]


def test_what_is_absent_has_its_default() -> None:
    """18 percent tax and no daily charge."""
    tariff = tariff_from_message(flat_message())

    assert tariff == Tariff("flat-5", "", "INR", FlatPricing(Decimal(5)), None, Decimal(18))


@pytest.mark.parametrize("text", ["0", "18", "+18", "18.", ".5", "18.0000", "1.8e1", "1800E-2", "-0", "0.0001"])
def test_a_percentage_may_be_written_in_every_way_of_a_decimal(text: str) -> None:
    """The grammar is that of google.type.Decimal."""
    tariff = tariff_from_message(flat_message(tax_percent=DecimalMessage(value=text)))

    assert tariff.tax_percent == Decimal(text)


@pytest.mark.parametrize(
    "text", ["", " 18", "18%", "NaN", "Infinity", "1_8", "1,8", "٣", "0x12", "1e999999999", "9" * 21, "."]
)
def test_a_percentage_that_is_no_decimal_is_refused(text: str) -> None:
    """Also what Python would take for one."""
    assert violated(flat_message(tax_percent=DecimalMessage(value=text))) == [("tariff.tax_percent", "INVALID_FORMAT")]


@pytest.mark.parametrize(
    ("message", "field", "reason"),
    [
        (flat_message(flat=tariff_pb2.FlatPricing()), "flat.price_per_kwh", "FIELD_REQUIRED"),
        (
            flat_message(flat=tariff_pb2.FlatPricing(price_per_kwh=money(5, currency_code="USD"))),
            "flat.price_per_kwh.currency_code",
            "INVALID_FORMAT",
        ),
        (
            flat_message(flat=tariff_pb2.FlatPricing(price_per_kwh=money(5, currency_code=""))),
            "flat.price_per_kwh.currency_code",
            "INVALID_FORMAT",
        ),
        (
            flat_message(flat=tariff_pb2.FlatPricing(price_per_kwh=money(5, -1))),
            "flat.price_per_kwh",
            "INVALID_FORMAT",
        ),
        (
            flat_message(flat=tariff_pb2.FlatPricing(price_per_kwh=money(0, 1))),
            "flat.price_per_kwh",
            "OUT_OF_RANGE",
        ),
        (flat_message(daily_charge=money(1, currency_code="USD")), "daily_charge.currency_code", "INVALID_FORMAT"),
        (flat_message(daily_charge=money(-1)), "daily_charge", "OUT_OF_RANGE"),
        (flat_message(time_of_use=None, flat=None), "pricing", "FIELD_REQUIRED"),
    ],
)
def test_an_amount_that_cannot_be_read_names_its_field(message: tariff_pb2.Tariff, field: str, reason: str) -> None:
    """Absent, in another currency, with mixed signs, too fine or negative."""
    assert violated(message) == [(f"tariff.{field}", reason)]


def test_an_empty_message_says_everything_that_is_required() -> None:
    """Id, currency and pricing."""
    assert violated(tariff_pb2.Tariff()) == [
        ("tariff.pricing", "FIELD_REQUIRED"),
        ("tariff.tariff_id", "FIELD_REQUIRED"),
        ("tariff.currency_code", "FIELD_REQUIRED"),
    ]


def test_unreadable_amounts_and_broken_rules_are_told_together() -> None:
    """One answer names the missing price, the wrong window and the wrong day."""
    window = tariff_pb2.TimeOfUseWindow(
        days_of_week=[DayOfWeek.DAY_OF_WEEK_UNSPECIFIED], start_minute=10, end_minute=60
    )
    time_of_use = tariff_pb2.TimeOfUsePricing(
        periods=[tariff_pb2.TimeOfUsePeriod(name="peak", windows=[window])],
        default_name="rest",
        default_price_per_kwh=money(1),
    )

    assert violated(flat_message(flat=None, time_of_use=time_of_use)) == [
        ("tariff.time_of_use.periods[0].price_per_kwh", "FIELD_REQUIRED"),
        ("tariff.time_of_use.periods[0].windows[0].days_of_week", "OUT_OF_RANGE"),
        ("tariff.time_of_use.periods[0].windows[0].start_minute", "OUT_OF_RANGE"),
    ]


@pytest.mark.parametrize(
    "assignment",
    [
        TariffAssignment("m-1", "flat-5", 1_767_225_600_000),
        TariffAssignment("", "flat-5", 1_767_225_600_000, site_id="Depot 1, Nørrebro"),
        TariffAssignment("", "", 1_767_225_600_000, group_id="fleet"),
    ],
    ids=["device", "site", "end of a group"],
)
def test_an_assignment_comes_back_as_it_was(assignment: TariffAssignment) -> None:
    """From the quarter-hour it names, for whom it names."""
    assert assignment_from_message(assignment_message(assignment)) == assignment
    first = AssignmentVersion(assignment, 1, 0)
    second = AssignmentVersion(assignment, 2, 5, is_cancelled=True, correction=Correction("anna", "moved out"))
    assert [assignment_from_document(assignment_to_document(one)) for one in (first, second)] == [first, second]


def test_an_assignment_that_rests_without_a_number_is_a_first_version() -> None:
    """As they were kept before there were versions."""
    version = AssignmentVersion(TariffAssignment("m-1", "flat-5", 900_000), 1, 7)
    document = assignment_to_document(version)
    for later in ("number", "is_cancelled"):
        del document[later]

    assert assignment_from_document(document) == version


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (
            tariff_pb2.TariffAssignment(),
            ["assignment.device_id", "assignment.tariff_id", "assignment.start_time"],
        ),
        (
            tariff_pb2.TariffAssignment(device_id="a b", tariff_id="t", start_time=Timestamp(nanos=1)),
            ["assignment.device_id", "assignment.start_time"],
        ),
        (
            tariff_pb2.TariffAssignment(device_id="m", tariff_id="t", start_time=Timestamp(seconds=600)),
            ["assignment.start_time"],
        ),
        (
            tariff_pb2.TariffAssignment(device_id="m", site_id="s", tariff_id="t", start_time=Timestamp()),
            ["assignment.site_id"],
        ),
        (
            tariff_pb2.TariffAssignment(group_id="g" * 129, tariff_id="t", ends=True, start_time=Timestamp()),
            ["assignment.group_id", "assignment.tariff_id"],
        ),
    ],
)
def test_an_assignment_names_every_field_at_fault(message: tariff_pb2.TariffAssignment, fields: list[str]) -> None:
    """All are required, and a price begins with a quarter-hour."""
    with pytest.raises(InvalidArgument) as refused:
        assignment_from_message(message)

    assert [violation.field for violation in refused.value.violations] == fields


@pytest.mark.parametrize(
    ("number", "text"), [("0", "0"), ("0.000000", "0"), ("-0.0", "0"), ("1E+3", "1000"), ("12.340", "12.34")]
)
def test_a_number_is_written_in_plain_digits(number: str, text: str) -> None:
    """The same number is always the same text."""
    assert decimal_message(Decimal(number)).value == text
