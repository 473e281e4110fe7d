"""Batches of all partitions are looked at together, and each before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from analytics.detection.detection import Detection
from analytics.stream.observation import Observation, ReceivedBatches
from analytics.stream.observed_columns import columns_of
from tests.unit.analytics.watched import START_MS, reading


class Looks:
    """A detector and a desk that write down what they are given."""

    is_full = False

    def __init__(self) -> None:
        self.looks: list[list[str]] = []
        self.writes = 0
        self.metrics = CollectorRegistry()

    def look(self, columns: Any, observations: Sequence[Observation]) -> None:
        """Written down."""
        ids = [] if columns is None else list(columns.device_ids)
        self.looks.append(ids + [seen.device_id for seen in observations])

    async def write(self) -> None:
        """Counted."""
        self.writes += 1


def batches(*device_ids: str, as_columns: bool = False) -> ReceivedBatches:
    """A reading of each device."""
    readings = [reading(device_id, START_MS, power_kw=1.0) for device_id in device_ids]
    return ReceivedBatches(("b",), [], columns_of(readings) if as_columns else None, [] if as_columns else readings)


def detection_of(looks: Looks, *, together_seconds: float) -> Detection:
    """What hands on to a detector and a desk that write down."""
    return Detection(looks, looks, looks.metrics, together_seconds=together_seconds)  # type: ignore[arg-type]


async def test_what_several_consumers_took_is_looked_at_once() -> None:
    """And none of them goes on before."""
    looks = Looks()
    detection = detection_of(looks, together_seconds=0.01)

    async def consume(taken: ReceivedBatches) -> list[list[str]]:
        detection.take(taken)
        await detection.write()
        return list(looks.looks)

    seen = await asyncio.gather(
        consume(batches("m-1")),
        consume(batches("m-2", "m-3", as_columns=True)),
        consume(batches("m-4", as_columns=True)),
    )

    assert looks.looks == [["m-2", "m-3", "m-4", "m-1"]]
    assert all(one == looks.looks for one in seen)
    assert looks.writes == 3


async def test_a_consumer_that_took_nothing_does_not_wait() -> None:
    """It only stores what there is."""
    looks = Looks()
    detection = detection_of(looks, together_seconds=3600)

    await detection.write()

    assert (looks.looks, looks.writes) == ([], 1)


def test_very_many_are_looked_at_at_once() -> None:
    """So that memory stays bounded."""
    looks = Looks()
    detection = detection_of(looks, together_seconds=3600)

    detection.take(batches(*["m-1"] * 20_000))

    assert len(looks.looks) == 1
    assert looks.metrics.get_sample_value("detection_readings_total") == 20_000
    assert (looks.metrics.get_sample_value("detection_seconds_total") or 0) > 0
