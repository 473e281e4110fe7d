"""A household's meter: its day, the modes of the fleet, its limits and its registers."""

from dataclasses import replace
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import pytest

from loadgen.meter import LoadMode, LoadShapes, Meter, MeterFields, MeterProfile, draw_profile
from loadgen.surroundings import Surroundings, surroundings_at

ZONE = ZoneInfo("Asia/Kolkata")
MIDNIGHT_MS = 1_759_257_000_000  # 2025-10-01T00:00 in Kolkata
MINUTE_MS = 60_000
MINUTES_PER_DAY = 1440
PLAIN = MeterProfile(
    base_w=200.0,
    evening_w=1500.0,
    shape=3,
    connection_w=7_500,
    solar_w=0,
    power_factor=0.95,
    initial_register_kwh=12_345,
)


def day_of(
    profile: MeterProfile = PLAIN,
    *,
    mode: LoadMode = LoadMode.NORMAL,
    supplied: bool = True,
) -> list[MeterFields]:
    """What a meter reads on one local day."""
    meter = Meter(profile, draw=Random(7).random, mode=mode, supplied=supplied)
    shapes = LoadShapes()
    return [meter.measure(surroundings, shapes.levels(surroundings)[profile.shape]) for surroundings in steps_of_day()]


def steps_of_day() -> list[Surroundings]:
    """The minutes of one local day."""
    return [surroundings_at(MIDNIGHT_MS + minute * MINUTE_MS, MINUTE_MS, ZONE) for minute in range(MINUTES_PER_DAY)]


def hourly_kwh(day: list[MeterFields]) -> list[float]:
    """Imported energy by local hour."""
    return [sum(each["import_kwh"] for each in day[hour * 60 : hour * 60 + 60]) for hour in range(24)]


def test_the_evening_between_17_and_21_holds_the_peak_of_the_day() -> None:
    """The daily curve of a household: quiet nights, busiest hour in the evening."""
    hours = hourly_kwh(day_of())

    assert hours.index(max(hours)) in range(17, 21)
    assert max(hours[17:21]) > 4 * max(hours[1:5])


def test_every_shape_peaks_between_17_and_21() -> None:
    """Whichever kind of household is drawn, its evening is where the grid expects it."""
    shapes = LoadShapes()
    levels = [shapes.levels(surroundings) for surroundings in steps_of_day()]

    peaks = [max(range(MINUTES_PER_DAY), key=lambda minute: levels[minute][shape]) for shape in range(16)]

    assert all(17 * 60 <= minute < 21 * 60 for minute in peaks)


def test_at_night_the_base_load_varies_by_a_fifth() -> None:
    """Mode normal multiplies the load with 0.8 to 1.2."""
    night = day_of()[60 : 4 * 60]

    powers = [each["power_kw"] for each in night]

    assert 0.2 * 0.8 - 0.001 <= min(powers) < 0.2 * 0.85
    assert 0.2 * 1.15 < max(powers) <= 0.2 * 1.2 + 0.002


def test_mode_peak_raises_the_load_by_half_to_double() -> None:
    """Mode peak multiplies the load with 1.5 to 2.0."""
    night = day_of(mode=LoadMode.PEAK)[60 : 4 * 60]

    powers = [each["power_kw"] for each in night]

    assert 0.2 * 1.5 - 0.001 <= min(powers) < 0.2 * 1.55
    assert 0.2 * 1.95 < max(powers) <= 0.2 * 2.0 + 0.002


def test_a_supplied_meter_in_an_outage_draws_at_most_a_third_of_its_load() -> None:
    """Mode outage leaves a supplied meter 0 to 0.3 of its load."""
    night = day_of(mode=LoadMode.OUTAGE)[60 : 4 * 60]

    powers = [each["power_kw"] for each in night]

    assert min(powers) < 0.01
    assert 0.05 < max(powers) <= 0.2 * 0.3 + 0.001


def test_a_meter_without_supply_reports_true_zeros() -> None:
    """An outage is zeros that are there, not a gap, and no fields that only a live wave has."""
    day = day_of(mode=LoadMode.OUTAGE, supplied=False)

    assert len(day) == MINUTES_PER_DAY
    assert all(each["import_kwh"] == each["power_kw"] == each["current_a"] == each["voltage_v"] == 0 for each in day)
    assert {each["import_register_kwh"] for each in day} == {12_345.0}
    assert not any("frequency_hz" in each or "power_factor" in each for each in day)


def test_the_register_is_to_the_milliwatt_hour_the_sum_of_the_energies() -> None:
    """The sum check of a meter holds exactly, not within a tolerance."""
    day = day_of(replace(PLAIN, solar_w=4_000))

    imported = exported = Decimal(0)
    for each in day:
        imported += Decimal(repr(each["import_kwh"]))
        exported += Decimal(repr(each["export_kwh"]))
        assert Decimal(repr(each["import_register_kwh"])) == 12_345 + imported
        assert Decimal(repr(each["export_register_kwh"])) == exported
    assert exported > 0


@pytest.mark.parametrize("interval_ms", [1_000, MINUTE_MS, 900_000])
def test_the_energy_is_the_power_times_the_interval(interval_ms: int) -> None:
    """Power and energy of a reading agree to the milliwatt-hour, whatever the interval."""
    meter = Meter(PLAIN, draw=Random(7).random)

    fields = meter.measure(surroundings_at(MIDNIGHT_MS, interval_ms, ZONE), 0.5)

    exact = Decimal(repr(fields["power_kw"])) * interval_ms / 3_600_000
    assert abs(Decimal(repr(fields["import_kwh"])) - exact) <= Decimal("0.0000005")


def test_no_power_exceeds_the_connection() -> None:
    """A household cannot draw more than its connection carries."""
    day = day_of(replace(PLAIN, connection_w=1_000), mode=LoadMode.PEAK)

    assert max(each["power_kw"] for each in day) == 1.0


def test_a_solar_household_feeds_in_at_noon_and_never_both_ways_at_once() -> None:
    """Export happens in daylight only, and a net meter counts one direction at a time."""
    day = day_of(replace(PLAIN, solar_w=4_000))

    assert sum(each["export_kwh"] for each in day[11 * 60 : 13 * 60]) > 4
    assert all(each["export_kwh"] == 0 for each in day[: 6 * 60] + day[18 * 60 :])
    assert all(each["import_kwh"] == 0 or each["export_kwh"] == 0 for each in day)


def test_a_household_without_panels_has_no_export_channel() -> None:
    """Absent is not measured, which differs from zero."""
    assert not any("export_kwh" in each or "export_register_kwh" in each for each in day_of())


def test_voltage_current_frequency_and_factor_fit_each_other() -> None:
    """The side values stay in the legal bands and current follows power and voltage."""
    for each in day_of():
        assert 207 <= each["voltage_v"] <= 253
        assert 49.5 <= each["frequency_hz"] <= 50.5
        assert each["current_a"] == pytest.approx(each["power_kw"] * 1000 / each["voltage_v"] / 0.95, abs=0.011)
        assert each["power_factor"] == 0.95


def test_one_household_in_ten_has_panels() -> None:
    """The share of solar households among drawn profiles."""
    random = Random(1)

    with_panels = sum(draw_profile(random).solar_w > 0 for _ in range(2_000))

    assert 160 <= with_panels <= 240
