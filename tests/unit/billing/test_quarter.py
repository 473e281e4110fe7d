"""How readings of a span are rolled up by quarter-hour."""

from billing.cold.quarter import quarters
from billing.log.observation import Observation
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER


def meter(offset_ms: int, interval_ms: int, energy: int | None, power_kw: float | None) -> Observation:
    """A meter's reading with this import and power."""
    return Observation(
        offset_ms, 0, interval_ms, 1, 2, (energy, None, None, None, power_kw, *[None] * (len(METER.columns) - 5))
    )


def test_readings_count_in_the_quarter_of_their_start() -> None:
    """A reading that begins in the last minute of a quarter belongs to it whole."""
    cells = quarters(
        METER, [meter(0, 60_000, 3, None), meter(840_000, 300_000, 4, None), meter(900_000, 60_000, 5, None)]
    )

    assert [(cell["offset_ms"], cell["import_milliwatt_hours"], cell["reading_count"]) for cell in cells] == [
        (0, 7, 2),
        (900_000, 5, 1),
    ]
    assert cells[0]["last_end_ms"] == 1_140_000


def test_power_is_integrated_over_time_not_averaged_over_readings() -> None:
    """One minute at 10 kW and four at 5 kW are 30 kW minutes in five minutes."""
    (cell,) = quarters(METER, [meter(0, 60_000, None, 10.0), meter(60_000, 240_000, None, 5.0)])

    assert cell["power_kw_ms"] / cell["power_covered_ms"] == 6.0
    assert cell["maximum_power_kw"] == 10.0


def test_energy_nobody_measured_is_absent_not_zero() -> None:
    """A quarter of power readings has no energy."""
    (cell,) = quarters(METER, [meter(0, 60_000, None, 10.0)])

    assert cell["import_milliwatt_hours"] is None


def test_what_was_not_measured_is_counted_by_quality() -> None:
    """Estimates of either kind together, edits apart; a quarter that was measured throughout has no such count."""
    found = [
        meter(place * 60_000, 60_000, 1, None)._replace(quality=quality)
        for place, quality in enumerate(
            [
                ReadingQuality.MEASURED,
                ReadingQuality.INTERPOLATED,
                ReadingQuality.REFERENCE_DAYS,
                ReadingQuality.EDITED,
            ]
        )
    ]

    estimated, measured = quarters(METER, [*found, meter(900_000, 60_000, 1, None)])

    assert (estimated["reading_count"], estimated["estimated_count"], estimated["edited_count"]) == (4, 2, 1)
    assert not {"estimated_count", "edited_count"} & measured.keys()
