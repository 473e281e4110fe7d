"""Green Button: the bills that a file states, and the costs of its intervals."""

from decimal import Decimal
from pathlib import Path

import pytest

from loadgen.files import FileReadings
from loadgen.files.stated_bill import StatedBill
from tests.unit.loadgen.green_button_feeds import HOUR, NEW_YORK, START, block, entry, opened, reading_type, row

DAY = 86_400


def summary(inner: str, name: str = "UsageSummary") -> str:
    """A usage summary."""
    return f'<{name} xmlns="http://naesb.org/espi">{inner}</{name}>'


def with_summary(folder: Path, inner: str, name: str = "UsageSummary") -> FileReadings:
    """A file of an hour with a usage summary."""
    return opened(folder, NEW_YORK, reading_type(currency=840), block(row(START, 1)), summary(inner, name))


@pytest.mark.parametrize("name", ["UsageSummary", "ElectricPowerUsageSummary"])
def test_a_usage_summary_is_a_stated_bill(tmp_path: Path, name: str) -> None:
    """Amounts in hundred-thousandths, the currency by its number, energy by a power of ten; under both names."""
    inner = (
        f"<billingPeriod><duration>{28 * DAY}</duration><start>{START}</start></billingPeriod>"
        "<billLastPeriod>2205567</billLastPeriod><costAdditionalLastPeriod>150000</costAdditionalLastPeriod>"
        "<currency>978</currency><overallConsumptionLastPeriod><powerOfTenMultiplier>3</powerOfTenMultiplier>"
        "<uom>72</uom><value>199</value></overallConsumptionLastPeriod><tariffProfile>E-TOU</tariffProfile>"
    )
    file = with_summary(tmp_path, inner, name)

    assert file.stated.bills == [
        StatedBill(
            amount=Decimal("22.05567"),
            start_ms=START * 1000,
            end_ms=(START + 28 * DAY) * 1000,
            additional=Decimal("1.5"),
            energy_kwh=Decimal(199),
            currency_code="EUR",
            tariff="E-TOU",
        )
    ]


@pytest.mark.parametrize(
    ("inner", "bills"),
    [
        ("<billToDate>5</billToDate>", []),
        ("<billLastPeriod>much</billLastPeriod>", []),
        ("<billLastPeriod>100000</billLastPeriod>", [StatedBill(Decimal(1))]),
        (
            (
                "<billLastPeriod>100000</billLastPeriod><costAdditionalLastPeriod>0</costAdditionalLastPeriod>"
                "<currency>999</currency><billingPeriod><start>x</start></billingPeriod>"
                "<overallConsumptionLastPeriod><uom>38</uom><value>5</value></overallConsumptionLastPeriod>"
            ),
            [StatedBill(Decimal(1))],
        ),
    ],
    ids=["no amount", "no number", "amount alone", "nothing that is readable"],
)
def test_what_a_summary_does_not_say_is_not_made_up(tmp_path: Path, inner: str, bills: list[StatedBill]) -> None:
    """Power is no energy, an unknown number no currency; a summary without an amount is no bill."""
    assert with_summary(tmp_path, inner).stated.bills == bills


def test_costs_of_intervals_are_kept_by_start(tmp_path: Path) -> None:
    """Those of a refused interval are not, and one that is no number is told."""
    rows = [row(START, 1), row(START + HOUR, -1), row(START + 2 * HOUR, 1).replace(">12<", ">twelve<")]
    rows.append(row(START + 3 * HOUR, 1).replace(">12<", ">-8<"))
    file = opened(tmp_path, NEW_YORK, reading_type(currency=840), block(*rows))

    assert file.stated.costs == [
        (START * 1000, Decimal("0.00012")),
        ((START + 3 * HOUR) * 1000, Decimal("-0.00008")),
    ]
    assert file.stated.cost_currency_code == "USD"
    assert file.stated.costs_between(START * 1000, (START + 3 * HOUR) * 1000) == [Decimal("0.00012")]
    assert "row 3: cost 'twelve' is no whole number and is left out" in file.remarks


def test_bills_are_those_of_the_usage_point_that_is_named(tmp_path: Path) -> None:
    """A summary belongs to the point that its link leads up to."""
    entries = [entry(NEW_YORK), entry(reading_type(), ("self", "ReadingType/1"))]
    for number in (1, 2):
        point = f"UsagePoint/{number}"
        bill = summary(f"<billLastPeriod>{number}00000</billLastPeriod>")
        entries += [
            entry("<UsagePoint></UsagePoint>", ("self", point)),
            entry(block(row(START, number)), ("up", f"{point}/MeterReading/1/IntervalBlock")),
            entry(bill, ("up", f"{point}/UsageSummary")),
        ]

    file = opened(tmp_path, *entries, usage_point="UsagePoint/2")

    assert [bill.amount for bill in file.stated.bills] == [Decimal(2)]
