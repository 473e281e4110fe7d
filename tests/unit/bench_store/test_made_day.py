"""What the store's benchmark fills in by bulk is what folding would have made of the same segments."""

from billing.cold.span import Span
from billing.cold.span_document import from_document, to_document
from billing.log.observation import SpanKey
from billing.log.schema import METER
from billing.log.segment import of_devices
from loadgen.latency import LatencyHistogram
from tests.bench_store.asking import growth_row
from tests.bench_store.filling import days_before
from tests.bench_store.made_day import DAY_MS, cold_documents, gathered_hour, hot_documents, segments_of_hour

START_MS = 1_772_323_200_000
DEVICES = [f"m-{number}" for number in range(3)]


def test_a_filled_hour_is_the_folded_hour() -> None:
    """Each document equals the one that its device's readings give one by one."""
    documents = cold_documents(gathered_hour("meter", DEVICES, START_MS))

    expected = {}
    for key, observations in of_devices(segments_of_hour(DEVICES, START_MS, 8), DEVICES).items():
        span = Span()
        span.fold(observations)
        expected[key] = to_document(key, span, 1)
    found: dict[SpanKey, object] = {from_document(METER, document)[0]: document for document in documents}
    assert found == expected
    assert [document["total"]["reading_count"] for document in documents] == [60, 60, 60]


def test_a_filled_hot_document_ends_the_hour() -> None:
    """The newest reading is that of the last minute."""
    hot = hot_documents(gathered_hour("vehicle", DEVICES, START_MS))

    assert [document["_id"] for document in hot] == DEVICES
    assert {round(document["latest"]["start_time"].timestamp() * 1000) for document in hot} == {START_MS + 59 * 60_000}


def test_growth_is_told_beside_one_day() -> None:
    """A ratio of 1 is flat."""
    before, after = LatencyHistogram(), LatencyHistogram()
    before.record(10.0)
    after.record(11.0)

    row = growth_row("growth", before, after).as_json()

    assert row["ratio"] is not None
    assert 1.09 < row["ratio"] < 1.11
    assert days_before(START_MS, 2) == [START_MS - 2 * DAY_MS, START_MS - DAY_MS]
