"""The rules of the benchmark: whether consumers keep up, what acks say, when frames are due, what services show."""

from __future__ import annotations

import time

import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsResponse
from energy.telemetry.v1.verdict_pb2 import Verdict

from loadgen.bench.ack_book import AckBook, UnackedFrames
from loadgen.bench.figures import Figures, figures_of
from loadgen.bench.keep_up import START_RATE, Sample, fault_in_keeping_up, next_rate, sustained_rate
from loadgen.bench.metrics_page import sums
from loadgen.bench.processes import part_name, peak_megabytes
from loadgen.bench.schedule import Schedule

RATE = 10_000.0


def samples(backlogs: list[float]) -> list[Sample]:
    """One a second at the rate, billing behind by the backlog."""
    return [
        Sample(float(at), RATE * at, RATE * at - backlog, RATE * at, 0.0, 0.0) for at, backlog in enumerate(backlogs)
    ]


def test_a_backlog_that_stays_is_kept_up_with() -> None:
    """Half a second of load is always on the way; the first half of the time does not count."""
    assert fault_in_keeping_up(samples([50_000, 40_000, 30_000, 5_000, 5_100, 4_900, 5_000, 5_000]), RATE) is None


def test_a_backlog_that_grows_is_a_fault() -> None:
    """Even while it is small."""
    assert fault_in_keeping_up(samples([300.0 * at for at in range(20)]), RATE) == "the backlog grew by 300 readings/s"


def test_a_backlog_of_more_than_two_seconds_is_a_fault() -> None:
    """Even when it does not grow."""
    fault = fault_in_keeping_up(samples([25_000] * 8), RATE)

    assert fault == "the backlog reached 25,000 readings, 2.5 s of load"


def test_the_slower_consumer_decides_the_rate() -> None:
    """Over the later half of the samples."""
    found = [Sample(float(at), 0, 900.0 * at, 700.0 * at if at > 3 else 0.0, 0, 0) for at in range(8)]

    assert sustained_rate(found) == pytest.approx(700)


def test_the_search_goes_up_while_little_waits_and_down_when_much_does() -> None:
    """Between the two it stays, and it does not run away from what is acked."""
    rate = 5 * RATE

    assert next_rate(rate, rate, backlog=5_000) == pytest.approx(rate * 1.4)
    assert next_rate(rate, rate, backlog=30_000) == rate
    assert next_rate(rate, rate, backlog=45_000) == pytest.approx(rate * 0.85)
    assert next_rate(100 * rate, rate, backlog=0) == pytest.approx(rate * 1.96)
    assert next_rate(START_RATE, 0.0, backlog=0) == START_RATE


def test_a_cumulative_ack_covers_every_frame_before_it() -> None:
    """Refused readings of it are not acked."""
    book = AckBook()
    book.is_measuring = True
    unacked = UnackedFrames(book, 500)
    for sequence in (1, 2, 3):
        unacked.sent(sequence, time.monotonic() - 1)
    verdicts = [
        Verdict(sequence=1, index=7, reason=reasons.ERROR_REASON_OUT_OF_RANGE),
        Verdict(sequence=2, index=-1, reason=reasons.ERROR_REASON_FRAME_TOO_LARGE),
    ]

    covered = unacked.acknowledge(StreamReadingsResponse(acked_sequence=2, refused=verdicts).SerializeToString())

    assert (covered, len(unacked), book.acked) == (2, 1, 499)
    assert book.refused == {"OUT_OF_RANGE": 1, "FRAME_TOO_LARGE": 500}
    assert book.latency.percentile_ms(50) == pytest.approx(1000, rel=0.1)


async def test_a_schedule_without_a_rate_is_always_due_until_it_ends() -> None:
    """As fast as acks allow."""
    schedule = Schedule(100)

    assert await schedule.next_due() == pytest.approx(time.monotonic(), abs=0.5)
    schedule.end()
    assert await schedule.next_due() is None


async def test_a_frame_that_is_late_is_due_when_it_was_due() -> None:
    """So its latency counts the wait; frames are evenly apart."""
    schedule = Schedule(100, 1_000_000)

    dues = [await schedule.next_due() or 0.0 for _ in range(5)]

    assert [later - dues[0] for later in dues] == pytest.approx([0.0, 0.0001, 0.0002, 0.0003, 0.0004])


def test_samples_of_a_page_are_summed_over_their_labels() -> None:
    """Other names, those that begin alike among them, and comments are left out."""
    page = (
        "# HELP readings_total Readings.\n"
        'readings_total{region="North {old}",kind="meter"} 3.0\n'
        'readings_total{region="South",kind="meter"} 4.0\n'
        "readings_total_created 9.0\n"
        "lag_seconds 0.5\n"
    )

    assert sums(page, ("readings_total", "lag_seconds", "absent")) == {"readings_total": 7.0, "lag_seconds": 0.5}


def test_figures_of_several_processes_are_added_but_the_lag_is_the_longest() -> None:
    """A difference leaves the lag as it is now."""
    pages = [
        "billing_logged_readings_total 10\nbilling_merge_lag_seconds 2\n",
        "billing_logged_readings_total 5\nbilling_merge_lag_seconds 7\n",
    ]

    figures = figures_of(pages)

    assert (figures.logged, figures.merge_lag_seconds) == (15, 7)
    difference = figures - Figures(logged=4, merge_lag_seconds=3)
    assert (difference.logged, difference.merge_lag_seconds) == (11, 7)


def test_several_processes_of_a_part_have_one_name() -> None:
    """A number at the end tells replicas apart."""
    assert [part_name(name) for name in ("gateway", "gateway-2", "billing_10", "mongodb")] == [
        "gateway",
        "gateway",
        "billing",
        "mongodb",
    ]


def test_the_peak_of_memory_is_the_kernels() -> None:
    """In kibibytes there, in megabytes here; 0 where a process has none."""
    assert peak_megabytes("Name:\tpython\nVmHWM:\t   100000 kB\nVmRSS:\t    9 kB\n") == pytest.approx(102.4)
    assert peak_megabytes("Name:\tkthread\n") == 0.0
