"""Which frames are on their way: the window of the stream client."""

from __future__ import annotations

import pytest

from loadgen.frame_window import Frame, FrameWindow


def window_of(*sequences: int, limit: int = 10) -> FrameWindow[str]:
    """A window that holds frames of these sequences, none of them written."""
    window: FrameWindow[str] = FrameWindow(limit)
    for sequence in sequences:
        window.add(Frame(sequence, f"frame {sequence}"))
    return window


def write_all(window: FrameWindow[str], now_seconds: float = 0.0) -> list[int]:
    """Writes all there is to write; returns the sequences."""
    written = []
    while (frame := window.next_to_write(now_seconds)) is not None:
        written.append(frame.sequence)
    return written


def test_frames_are_written_in_the_order_they_were_added() -> None:
    """Each frame comes once, by ascending sequence."""
    window = window_of(1, 2, 3)

    written = write_all(window)

    assert written == [1, 2, 3]
    assert window.next_to_write(0.0) is None


def test_an_ack_takes_out_every_frame_up_to_it() -> None:
    """Acks are cumulative: one for the second frame covers the first."""
    window = window_of(1, 2, 3)
    write_all(window)

    acked = window.acknowledge(2)

    assert [frame.sequence for frame in acked] == [1, 2]
    assert len(window) == 1


def test_an_ack_never_covers_a_frame_that_was_not_written() -> None:
    """A confused gateway cannot make unsent readings count as durable."""
    window = window_of(1, 2)
    window.next_to_write(0.0)

    acked = window.acknowledge(99)

    assert [frame.sequence for frame in acked] == [1]
    assert write_all(window) == [2]


def test_a_repeated_ack_takes_nothing_more() -> None:
    """Saying the same twice changes nothing."""
    window = window_of(1, 2)
    write_all(window)
    window.acknowledge(1)

    again = window.acknowledge(1)

    assert again == []


def test_after_a_restart_what_was_not_acked_is_written_again() -> None:
    """A lost stream loses writes, not frames; each frame knows how often it was written."""
    window = window_of(1, 2, 3)
    write_all(window)
    window.acknowledge(1)

    window.restart()
    written = write_all(window)
    acked = window.acknowledge(3)

    assert written == [2, 3]
    assert [frame.write_count for frame in acked] == [2, 2]


def test_a_full_window_takes_no_frame_until_one_is_acked() -> None:
    """The limit bounds what is in flight."""
    window = window_of(1, 2, limit=2)
    write_all(window)

    with pytest.raises(ValueError, match="full"):
        window.add(Frame(3, "frame 3"))
    window.acknowledge(1)
    window.add(Frame(3, "frame 3"))

    assert window.is_full


def test_sequences_must_ascend() -> None:
    """A sequence that does not grow would make a cumulative ack ambiguous."""
    window = window_of(5)

    with pytest.raises(ValueError, match="greater"):
        window.add(Frame(5, "again"))


def test_the_oldest_wait_is_known_and_ends_with_its_ack() -> None:
    """What waits is measured from its write on this stream; a new stream has waited for nothing yet."""
    window = window_of(1, 2)
    nothing_written = window.waiting_since_seconds
    window.next_to_write(10.0)
    window.next_to_write(11.0)

    first = window.waiting_since_seconds
    window.acknowledge(1)
    second = window.waiting_since_seconds
    window.restart()

    assert (nothing_written, first, second, window.waiting_since_seconds) == (None, 10.0, 11.0, None)


def test_what_is_not_acked_as_far_as_a_sequence_is_known() -> None:
    """Neither what was acked nor what comes behind it."""
    window = window_of(1, 2, 5, 6)
    window.next_to_write(10.0)
    window.acknowledge(1)

    assert [frame.sequence for frame in window.up_to(5)] == [2, 5]
