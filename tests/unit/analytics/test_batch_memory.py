"""Batches that come again are known, as long as they are among the newest."""

from __future__ import annotations

from analytics.stream.batch_memory import BatchMemory


def test_a_batch_is_new_once() -> None:
    """The second time it is known."""
    memory = BatchMemory(capacity=10)

    assert memory.add("b-1")
    assert not memory.add("b-1")


def test_the_oldest_batch_is_forgotten_first() -> None:
    """Beyond its capacity the memory loses what came first, not what came last."""
    memory = BatchMemory(capacity=2)
    for batch_id in ("b-1", "b-2", "b-3"):
        memory.add(batch_id)

    assert not memory.add("b-3")
    assert not memory.add("b-2")
    assert memory.add("b-1")


def test_a_batch_that_comes_again_stays_among_the_newest() -> None:
    """A redelivery refreshes it."""
    memory = BatchMemory(capacity=2)
    for batch_id in ("b-1", "b-2", "b-1", "b-3"):
        memory.add(batch_id)

    assert not memory.add("b-1")
