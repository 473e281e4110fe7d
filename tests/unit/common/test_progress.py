"""Work in hand that does not get done is noticed; no work, or work that gets done, is well."""

from __future__ import annotations

import pytest

from common.progress import NoProgress, Progress


class Clock:
    """A clock that is set by hand."""

    seconds = 100.0

    def __call__(self) -> float:
        """The time it was set to."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """A clock at 100 s."""
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """Progress by that clock."""
    return Progress(clock)


def test_without_work_there_is_no_stall(progress: Progress, clock: Clock) -> None:
    """However long it is idle."""
    clock.seconds += 1_000

    assert progress.stalled_seconds() == 0
    progress.require(1)


def test_work_in_hand_stalls_from_its_first_piece_on(progress: Progress, clock: Clock) -> None:
    """More work coming in is no progress."""
    progress.began()
    clock.seconds += 3
    progress.began()
    clock.seconds += 2

    assert progress.stalled_seconds() == 5
    progress.require(6)
    with pytest.raises(NoProgress):
        progress.require(5)


def test_finished_work_ends_a_stall(progress: Progress, clock: Clock) -> None:
    """Counted anew from the last piece that was finished, and not at all when nothing is left."""
    progress.began()
    progress.began()
    clock.seconds += 5
    progress.advanced(1)
    clock.seconds += 2

    assert progress.stalled_seconds() == 2
    progress.advanced(0)
    clock.seconds += 100
    assert progress.stalled_seconds() == 0


def test_work_after_idleness_counts_from_its_own_beginning(progress: Progress, clock: Clock) -> None:
    """Not from when the work before it was finished."""
    progress.began()
    progress.advanced(0)
    clock.seconds += 100
    progress.began()

    assert progress.stalled_seconds() == 0
