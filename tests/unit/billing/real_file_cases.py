"""Bills of real files by the product's own readers and rating, for tests that compute them another way."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from billing.invoices.invoice import Invoice, make_invoice
from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import rate
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_codec import tariff_from_message
from common.energy import milliwatt_hours
from common.local_time import local_midnight_ms
from loadgen.files import to_reading
from loadgen.files.file_readings import FileReading
from loadgen.files.urdb_file import read_urdb
from loadgen.files.urdb_tariff import UrdbChoices, urdb_tariff


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to cents."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def rate_file(folder: Path, **fields: Any) -> Path:
    """A file with one rate."""
    path = folder / "rate.json"
    path.write_text(json.dumps({"items": [{"label": "r", "utility": "U", "name": "N", **fields}]}))
    return path


def quarters_of(readings: Iterable[FileReading]) -> list[Quarter]:
    """What the store makes of readings: the sums of each UTC quarter-hour, each energy rounded as on its way in."""
    found: dict[int, Quarter] = {}
    for one in readings:
        meter = to_reading(one, "m-1").meter
        start_ms = one.start_ms - one.start_ms % 900_000
        known = found.get(start_ms, Quarter(start_ms, 0, None, 0))
        sums = [known.import_milliwatt_hours, known.export_milliwatt_hours]
        for place, field in enumerate(("import_kwh", "export_kwh")):
            if meter.HasField(field):  # type: ignore[arg-type]
                sums[place] = (sums[place] or 0) + milliwatt_hours(getattr(meter, field))
        found[start_ms] = known._replace(
            last_end_ms=max(known.last_end_ms, one.start_ms + one.interval_ms),
            import_milliwatt_hours=sums[0],
            export_milliwatt_hours=sums[1],
            reading_count=known.reading_count + 1,
        )
    return list(found.values())


def our_bill(
    readings: Iterable[FileReading], zone: str, tariff: Path, choices: UrdbChoices, days: tuple[date, date]
) -> Invoice:
    """The bill of the product's readers and rating."""
    message = urdb_tariff(read_urdb(tariff), replace(choices, tariff_id="t")).tariff
    bounds = [local_midnight_ms(day, ZoneInfo(zone)) for day in days]
    return make_invoice(
        rate(
            device_id="m-1",
            zone=ZoneInfo(zone),
            start_date=days[0],
            end_date=days[1],
            assignments=[TariffAssignment("m-1", "t", 0)],
            tariffs={"t": tariff_from_message(message)},
            quarters=[one for one in quarters_of(readings) if bounds[0] <= one.start_ms < bounds[1]],
        )
    )


def amounts_of(invoice: Invoice) -> list[Decimal]:
    """The amounts of the lines that are not zero, in order of size."""
    return sorted(line.amount for line in invoice.lines if line.amount)
