"""From readings to money: what a file says of a value is on the bill, and no order of arrival changes a cent."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import EnergyQuality, MeterMeasurement, Reading
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.cold.quarter import quarters as cells_of
from billing.cold.span import Span
from billing.invoices.invoice import Invoice, make_invoice
from billing.invoices.readings_digest import readings_digest
from billing.log.batch_codec import BatchDecoder
from billing.log.schema import METER
from billing.log.segment import of_devices
from billing.tariffs.rated_line import Quarter
from billing.tariffs.tariff import DemandCharge, ExportMode, ExportTerms, FlatPricing
from common.instants import duration_from_ms, from_ms
from loadgen.files import open_file, to_reading
from tests.unit.billing.month_cases import STEPPED, rated, tariff
from tests.unit.loadgen.nem12_files import END, HEADER, day, register

DAY_MS = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1000
BUSINESS = replace(
    tariff(STEPPED),
    tax_percent=Decimal("7.7"),
    demand_charges=(DemandCharge("peak", Decimal(12), 30),),
    export=ExportTerms(ExportMode.INTERVAL_NETTING, FlatPricing(Decimal("0.07"))),
)

# Place in the day, revision, import and export in Wh, the quality that is sent, and when it was received.
SENT = st.tuples(
    st.integers(0, 95),
    st.integers(0, 2),
    st.integers(0, 90_000),
    st.integers(0, 90_000),
    st.integers(0, 8),
    st.integers(0, 5),
)
Sent = tuple[int, int, int, int, int, int]


def folded(batches: Sequence[Sequence[tuple[Reading, int]]]) -> list[Quarter]:
    """What is left of batches of readings, each with when it was received, once they were logged and folded."""
    decoder, spans = BatchDecoder(), dict[int, Span]()
    for number, batch in enumerate(batches):
        body = ReadingBatch(
            batch_id=f"b-{number}",
            create_time=from_ms(DAY_MS + number),
            parts=[Part(receive_time=from_ms(received_ms), readings=[one]) for one, received_ms in batch],
        ).SerializeToString()
        # As of one moment, for when something was recorded is another matter.
        for key, observations in of_devices([decoder.decode(body, DAY_MS + 999).segment], ["m-1"]).items():
            spans.setdefault(key.span_start_ms, Span()).fold(observations)
    return [
        Quarter(
            start_ms + cell["offset_ms"],
            start_ms + cell["last_end_ms"],
            cell["import_milliwatt_hours"],
            cell["reading_count"],
            cell.get("estimated_count", 0),
            cell["export_milliwatt_hours"],
            cell.get("edited_count", 0),
            cell["covered_ms"],
            cell.get("substituted_count", 0),
        )
        for start_ms, span in sorted(spans.items())
        for cell in cells_of(METER, span.in_order())
    ]


def bill(quarters: Sequence[Quarter]) -> Invoice:
    """January's bill by tiers, demand, export and tax, with what it rests on."""
    return replace(make_invoice(rated(quarters, BUSINESS)), readings_digest=readings_digest(quarters))


def message(sent: Sent) -> tuple[Reading, int]:
    """A reading and when it was received, epoch milliseconds."""
    place, revision, imported, exported, quality, received = sent
    measured = MeterMeasurement(import_kwh=imported / 1000, export_kwh=exported / 1000)
    measured.energy_quality = EnergyQuality.values()[quality]
    start_ms = DAY_MS + place * 900_000
    reading = Reading(
        device_id="m-1",
        start_time=from_ms(start_ms),
        interval=duration_from_ms(900_000),
        revision=revision,
        meter=measured,
    )
    return reading, DAY_MS + received


@settings(deadline=None, derandomize=True, max_examples=60)
@given(sent=st.lists(SENT, min_size=1, max_size=60), seed=st.integers(0, 2**32), size=st.integers(1, 40))
def test_the_order_of_arrival_never_changes_the_money(sent: list[Sent], seed: int, size: int) -> None:
    """Corrections, conflicts, estimates, repeats, in any order and batches of any size: the same bill, to the bit."""
    first = bill(folded([[message(one) for one in sent]]))
    made_up = random.Random(seed)
    again = [*sent, *made_up.choices(sent, k=len(sent))]
    made_up.shuffle(again)
    batches = [[message(one) for one in again[at : at + size]] for at in range(0, len(again), size)]

    assert bill(folded(batches)) == first


def test_what_a_file_says_of_its_values_is_counted_on_the_bill(tmp_path: Path) -> None:
    """Of 48 half-hours 20 were measured, 4 estimated, 14 substituted, 10 for good; the money is that of any others."""
    said = ["400,1,20,A,,", "400,21,24,E52,,", "400,25,38,S14,76,", "400,39,48,F14,76,"]
    path = tmp_path / "meter.csv"

    def billed(*lines: str) -> Invoice:
        path.write_text("\n".join([HEADER, register(), *lines, END]), "utf-8")
        readings = [(to_reading(one, "m-1"), DAY_MS) for one in open_file(path, "UTC").readings]
        return make_invoice(rated(folded([readings]), BUSINESS, days=(date(2026, 1, 4), date(2026, 1, 6))))

    found = billed(day([1] * 48, "V", "20260105"), *said)
    measured = billed(day([1] * 48, "A", "20260105"))

    assert (found.reading_count, found.estimated_reading_count, found.substituted_reading_count) == (48, 4, 24)
    assert (measured.estimated_reading_count, measured.substituted_reading_count) == (0, 0)
    assert found.total == measured.total
