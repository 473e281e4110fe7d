"""What a person sees while readings are sent."""

from __future__ import annotations

import io

import pytest

from loadgen.latency import LatencyHistogram
from loadgen.progress import Progress, shows_bar
from loadgen.tally import Tally


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(
    ("output", "term", "shown"),
    [
        (Terminal(), "xterm", True),
        (Terminal(), "dumb", False),
        (Terminal(), "", False),
        (io.StringIO(), "xterm", False),
    ],
)
def test_a_bar_is_drawn_only_on_a_terminal_that_can(output: io.StringIO, term: str, *, shown: bool) -> None:
    """A log file or a dumb terminal gets lines instead."""
    assert shows_bar(output, {"TERM": term}) is shown


def test_without_a_bar_the_last_state_is_one_plain_line() -> None:
    """Counts of this run only, also when the tally has seen readings before."""
    output, tally, latency = io.StringIO(), Tally(), LatencyHistogram()
    tally.accept("meter-1", 0, 0)
    progress = Progress("Readings", tally, latency, total=4, output=output, live_bar=False)
    tally.accept("meter-1", 1, 0)
    tally.refuse("OUT_OF_RANGE")
    latency.record(7.0)

    progress.update()
    progress.close()

    (line,) = output.getvalue().splitlines()
    assert line.startswith("Readings: 2 of 4 readings, ")
    assert line.endswith("acked 1, ack p50 7 ms, p99 7 ms, refused 1")


def test_the_simulated_time_of_the_step_at_work_is_shown() -> None:
    """A day that passes can be watched."""
    output = io.StringIO()
    progress = Progress("Readings", Tally(), LatencyHistogram(), total=None, output=output, live_bar=False)

    steps = list(progress.clocked(["a", "b"], lambda number: f"0{number}:00"))
    progress.close()

    assert steps == ["a", "b"]
    assert "it is 01:00" in output.getvalue()


def test_a_bar_ends_at_what_was_answered() -> None:
    """The bar is left on the screen with the full count."""
    output, tally = Terminal(), Tally()
    progress = Progress("Readings", tally, LatencyHistogram(), total=3, output=output, live_bar=True)
    for start_ms in range(3):
        tally.accept("meter-1", start_ms, 0)

    progress.close()

    assert "acked 3, refused 0" in output.getvalue()
