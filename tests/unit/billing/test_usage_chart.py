"""The chart of a period: where the bars stand, what the axes say, and what is told in words."""

from datetime import date, timedelta

import pytest

from billing.invoices.usage_chart import HEIGHT, WIDTH, DayUsage, usage_chart

KWH = 1_000_000
NEW_YEAR = date(2026, 1, 1)


def day(number: int, import_kwh: float | None, export_kwh: float | None = None, *, estimated: bool = False) -> DayUsage:
    """The usage of a day of January."""
    energies = [None if kwh is None else int(kwh * KWH) for kwh in (import_kwh, export_kwh)]
    return DayUsage(NEW_YEAR + timedelta(days=number), energies[0], energies[1], estimated)


def test_bars_are_as_high_as_their_energy() -> None:
    """Twice the energy, twice the height; the axis ends at a round number."""
    chart = usage_chart([day(0, 2.0), day(1, 4.0)])

    low, high = chart.bars
    assert high.height == pytest.approx(2 * low.height)
    assert [label.text for label in chart.levels] == ["0", "1", "2", "3", "4"]
    assert high.y == chart.levels[-1].y


def test_every_bar_lies_within_the_chart() -> None:
    """A year of days, too."""
    chart = usage_chart([day(number, number % 7, number % 3) for number in range(366)])

    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH and 0 <= bar.y <= HEIGHT for bar in chart.bars)
    assert len(chart.days) <= 12


def test_a_day_without_a_reading_is_a_gap_and_one_without_use_is_not() -> None:
    """Unknown is not zero, and the words say which."""
    chart = usage_chart([day(0, None), day(1, 0.0), day(2, 1.5, estimated=True), day(3, 1.0, 0.25)])

    assert [bar.style for bar in chart.bars] == ["gap", "import", "estimated", "import", "export"]
    assert chart.figures == (
        ("2026-01-01", "no reading", ""),
        ("2026-01-02", "0", ""),
        ("2026-01-03", "1.5, with estimates", ""),
        ("2026-01-04", "1", "0.25"),
    )
    assert chart.summary == (
        "2.5 kWh taken from the grid, 0.25 kWh given to it, no reading on 1 of 4 days, estimates on 1"
    )


def test_a_period_without_any_use_has_a_chart_all_the_same() -> None:
    """Nothing is divided by nothing."""
    assert usage_chart([day(0, 0.0)]).bars[0].height == 0
