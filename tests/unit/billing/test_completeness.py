"""When a partition is complete: gaps, backlogs, writers that come, go and die, and replicas that take over."""

from hypothesis import given
from hypothesis import strategies as st

from billing.log.completeness import (
    FORGET_SECONDS,
    GAP_SECONDS,
    SILENT_SECONDS,
    MissingBatches,
    PartitionCompleteness,
    Position,
    Watermark,
)


def partition(known: Watermark | None = None) -> PartitionCompleteness:
    """A partition at second 0."""
    return PartitionCompleteness(known or Watermark(), 0.0)


def test_a_partition_is_complete_through_the_creation_of_the_last_batch_on_record() -> None:
    """Each batch moves the instant on, be it empty or not."""
    one = partition()

    one.record("w", 1, 1_000, 0.0)
    one.advance(0.0)
    assert one.complete_through_ms == 1_000

    one.record("w", 2, 2_000, 1.0)
    one.advance(1.0)
    assert one.complete_through_ms == 2_000


def test_nothing_is_known_before_the_first_batch() -> None:
    """No batch, no instant."""
    one = partition()
    one.advance(100.0)

    assert one.complete_through_ms is None
    assert one.record_ms(5) == 5


def test_the_slowest_writer_decides() -> None:
    """A writer with a backlog, or a clock that is behind, holds the partition back."""
    one = partition()
    one.record("w", 1, 1_000, 0.0)
    one.record("v", 1, 9_000, 0.0)
    one.advance(0.0)

    assert one.complete_through_ms == 1_000


def test_a_gap_holds_back_until_it_is_filled() -> None:
    """Later batches of the same writer, and of others, change nothing before the missing one is on record."""
    one = partition()
    one.record("w", 1, 1_000, 0.0)
    one.record("w", 3, 3_000, 1.0)
    one.record("v", 1, 5_000, 1.0)
    one.advance(1.0)
    assert one.complete_through_ms == 1_000
    assert one.missing() == [MissingBatches("w", 2, 2)]

    one.found("w", {2: 2_000}, 2.0)
    one.advance(2.0)
    assert one.complete_through_ms == 3_000
    assert one.missing() == []


def test_a_writer_whose_first_batches_were_not_seen_holds_back() -> None:
    """What a replica that takes over hears first may follow what its predecessor still has in hand."""
    one = partition(Watermark(complete_through_ms=500))
    one.record("v", 1, 5_000, 0.0)
    one.record("w", 3, 3_000, 0.0)
    one.advance(0.0)

    assert one.complete_through_ms == 500
    assert one.missing() == [MissingBatches("w", 1, 2)]


def test_a_writer_that_died_is_let_go_after_its_silence() -> None:
    """Its last batch holds no longer than it takes to notice; the others go on from theirs."""
    one = partition()
    one.record("dead", 1, 1_000, 0.0)
    seconds = 0
    while seconds < SILENT_SECONDS:
        one.record("w", seconds + 1, 1_000 + seconds * 1_000, float(seconds))
        one.advance(float(seconds))
        assert one.complete_through_ms == 1_000
        seconds += 1

    one.record("w", seconds + 1, 50_000, float(seconds))
    one.advance(float(seconds))

    assert one.complete_through_ms == 50_000


def test_a_dead_writer_with_a_gap_holds_back_until_the_gap_is_given_up() -> None:
    """What it acked may be in the hands of another replica, so it is waited for longer, and counted when given up."""
    one = partition()
    one.record("dead", 1, 1_000, 0.0)
    one.record("dead", 3, 3_000, 0.0)
    given_up = 0
    for second in range(int(GAP_SECONDS) + 1):
        assert not given_up
        one.record("w", second + 1, 10_000 + second * 1_000, float(second))
        given_up = one.advance(float(second))
        assert one.complete_through_ms == (1_000 if second < GAP_SECONDS else 70_000)

    assert given_up == 1


def test_a_pause_of_everybody_is_nobodys_silence() -> None:
    """While nothing is delivered nobody can be heard, so each writer gets its whole time after it."""
    one = partition()
    one.record("w", 1, 1_000, 0.0)
    one.record("v", 1, 1_500, 0.0)
    one.advance(0.0)

    one.record("w", 2, 90_000, 90.0)
    one.advance(90.0)

    assert one.complete_through_ms == 1_500


def test_it_never_moves_back() -> None:
    """A writer that was let go and speaks again, with a batch made long ago, takes nothing back."""
    one = partition(Watermark(50_000, 8, {"w": Position(7, 50_000)}))
    one.record("stuck", 1, 1_000, 0.0)
    one.advance(0.0)

    assert one.complete_through_ms == 50_000
    assert one.record_ms(1_500) == 50_001


def test_the_successor_goes_on_from_the_watermark() -> None:
    """Positions at rest are taken over, so that the next number is no gap."""
    one = partition()
    one.learn_partition_count(8)
    one.record("w", 1, 1_000, 0.0)
    one.record("w", 2, 2_000, 0.0)
    one.advance(0.0)
    successor = partition(one.watermark())

    successor.record("w", 3, 3_000, 0.0)
    successor.advance(0.0)

    assert successor.missing() == []
    assert successor.watermark() == Watermark(3_000, 8, {"w": Position(3, 3_000)})


def test_what_a_predecessor_stores_after_the_take_over_fills_the_gap() -> None:
    """An empty batch is in no log, only in the watermark of whoever had it."""
    one = partition(Watermark(1_000, 8, {"w": Position(1, 1_000)}))
    one.record("w", 4, 4_000, 0.0)
    one.merge(Watermark(3_000, 8, {"w": Position(3, 3_000)}), 0.0)
    one.advance(0.0)

    assert one.complete_through_ms == 4_000


def test_a_writer_silent_for_an_hour_is_forgotten() -> None:
    """So that the state does not grow with every restart."""
    one = partition()
    one.record("old", 1, 1_000, 0.0)
    for second in range(0, int(FORGET_SECONDS) + 2, 2):
        one.record("w", second // 2 + 1, 2_000, float(second))
        one.advance(float(second))

    assert set(one.watermark().positions) == {"w"}


@given(st.data())
def test_whatever_the_order_nothing_acked_before_the_instant_is_missing(data: st.DataObject) -> None:
    """Deliveries of two writers in any order, repeated at will: no batch not on record was made before the instant."""
    counts = {"v": data.draw(st.integers(0, 6)), "w": data.draw(st.integers(1, 6))}
    created_ms = {
        (writer, number): 1_000 * number + data.draw(st.integers(0, 900))
        for writer, count in counts.items()
        for number in range(1, count + 1)
    }
    some = st.lists(st.sampled_from(sorted(created_ms)), max_size=30)
    # Each writer is heard of in the order of the queue before any of its later batches can pass one.
    order = [(writer, 1) for writer, count in counts.items() if count] + data.draw(some)
    one, on_record = partition(), set()
    begun = False
    for place, key in enumerate(order):
        one.record(*key, created_ms[key], place * 0.01)
        on_record.add(key)
        begun = begun or {(w, 1) for w, count in counts.items() if count} <= on_record
        if begun:
            one.advance(place * 0.01)
            through_ms = one.complete_through_ms
            missing = [at_ms for missing, at_ms in created_ms.items() if missing not in on_record]
            assert through_ms is not None
            assert all(at_ms >= through_ms for at_ms in missing)
            stamp_ms = one.record_ms(0)
            assert stamp_ms > through_ms


@given(st.permutations(range(1, 9)))
def test_the_order_of_arrival_leaves_no_trace(order: list[int]) -> None:
    """Once every number is on record the partition is complete through the last, however they came."""
    one = partition()
    for number in order:
        one.record("w", number, number * 100, 0.0)
        one.advance(0.0)

    assert one.watermark() == Watermark(800, 0, {"w": Position(8, 800)})
