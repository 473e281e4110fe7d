"""What a person sees while readings are sent: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TextIO, TypeVar

from tqdm import tqdm

from loadgen.latency import LatencyHistogram
from loadgen.tally import Tally

_BAR_INTERVAL_SECONDS = 0.25
_LINE_INTERVAL_SECONDS = 10.0

StepT = TypeVar("StepT")


class Progress:
    """Shows how many readings were answered, how fast, and what was refused; cheap enough to call at every ack."""

    def __init__(
        self,
        title: str,
        tally: Tally,
        ack_latency: LatencyHistogram,
        *,
        total: int | None,
        output: TextIO,
        live_bar: bool,
    ) -> None:
        self._title = title
        self._tally = tally
        self._ack_latency = ack_latency
        self._acked_before, self._refused_before = tally.acked, tally.refused
        self._total = total
        self._output = output
        self._started_seconds = time.monotonic()
        self._interval_seconds = _BAR_INTERVAL_SECONDS if live_bar else _LINE_INTERVAL_SECONDS
        self._next_seconds = self._started_seconds + self._interval_seconds
        self._clock = ""
        self._bar = (
            tqdm(total=total, desc=title, unit=" readings", file=output, unit_scale=True, dynamic_ncols=True)
            if live_bar
            else None
        )

    def clocked(self, steps: Iterable[StepT], clock_at: Callable[[int], str]) -> Iterator[StepT]:
        """The steps, while their simulated time (what `clock_at` says of a step's number, from 0) is shown."""
        for number, step in enumerate(steps):
            self._clock = clock_at(number)
            yield step

    def update(self) -> None:
        """Shows where things stand, if the last time was long enough ago."""
        now_seconds = time.monotonic()
        if now_seconds >= self._next_seconds:
            self._next_seconds = now_seconds + self._interval_seconds
            self._show(now_seconds)

    def close(self) -> None:
        """Shows the last state and leaves it on the screen."""
        self._show(time.monotonic())
        if self._bar is not None:
            self._bar.close()

    @property
    def _acked(self) -> int:
        return self._tally.acked - self._acked_before

    @property
    def _refused(self) -> int:
        return self._tally.refused - self._refused_before

    def _show(self, now_seconds: float) -> None:
        answered = self._acked + self._refused
        if self._bar is not None:
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update(answered - self._bar.n)
            return
        rate = answered / max(now_seconds - self._started_seconds, 1e-3)
        share = f" of {self._total:,}" if self._total else ""
        line = f"{self._title}: {answered:,}{share} readings, {rate:,.0f}/s, {self._state()}"
        self._output.write(line + "\n")
        self._output.flush()

    def _state(self) -> str:
        parts = [f"it is {self._clock}"] if self._clock else []
        parts.append(f"acked {self._acked:,}")
        median, slow = self._ack_latency.percentile_ms(50), self._ack_latency.percentile_ms(99)
        if median is not None and slow is not None:
            parts.append(f"ack p50 {median:.0f} ms, p99 {slow:.0f} ms")
        parts.append(f"refused {self._refused:,}")
        return ", ".join(parts)


def shows_bar(output: TextIO, environment: Mapping[str, str]) -> bool:
    """True where a bar can be drawn: a terminal that is not a dumb one."""
    return output.isatty() and environment.get("TERM", "") not in ("", "dumb")
