"""A partition is behind when one of its consumers is, and not when nobody knows."""

from __future__ import annotations

import math

import pytest

from common.topology import queue_name
from ingestion.consumer_backlog import ConsumerBacklog


@pytest.mark.parametrize(("billing", "analytics", "is_behind"), [(9, 9, False), (10, 0, True), (0, 10, True)])
def test_one_consuming_service_that_is_behind_is_enough(billing: int, analytics: int, is_behind: bool) -> None:
    """From so many waiting batches on."""
    backlog = ConsumerBacklog(behind_messages=10)
    backlog.know({queue_name("billing", 3): billing, queue_name("analytics", 3): analytics})

    assert backlog.is_behind(3) == is_behind
    assert not backlog.is_behind(4)


def test_what_is_not_known_is_no_backlog() -> None:
    """A broker that is away has its own effect."""
    backlog = ConsumerBacklog(behind_messages=1)
    backlog.know({queue_name("billing", 0): 5.0})
    backlog.know({queue_name("billing", 0): math.nan})

    assert not backlog.is_behind(0)
