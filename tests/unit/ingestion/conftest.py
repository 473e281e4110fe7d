"""A broker that confirms, and somebody who waits."""

from __future__ import annotations

import pytest

from tests.unit.ingestion.scripted_publisher import RecordingWaiter, ScriptedPublisher


@pytest.fixture
def publisher() -> ScriptedPublisher:
    """A broker that confirms until told otherwise."""
    return ScriptedPublisher()


@pytest.fixture
def waiter() -> RecordingWaiter:
    """Somebody who waits for Parts."""
    return RecordingWaiter()
