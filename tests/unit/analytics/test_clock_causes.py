"""Who looks by the clock tells of a cause as new once, until it was gone, whatever people say of its alert."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.alerts.alert import AlertType, Cause, Severity, Sighting
from analytics.alerts.clock_causes import ClockCauses

CAUSE = Cause(AlertType.REGION_OVERLOAD, "North")
OPEN, NONE = {CAUSE.key}, frozenset[str]()


class Desk:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def seen(self, _: Sighting, *, is_new: bool) -> None:
        """Written down."""
        self.said.append("new" if is_new else "again")

    def gone(self, _: Cause) -> None:
        """Written down."""
        self.said.append("gone")


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([("seen", NONE), ("seen", OPEN), ("seen", OPEN)], ["new", "again", "again"]),
        ([("seen", OPEN)], ["again"]),
        ([("seen", NONE), ("seen", NONE)], ["new", "again"]),
        ([("seen", NONE), ("gone", OPEN), ("gone", OPEN), ("seen", OPEN)], ["new", "gone", "new"]),
        ([("gone", OPEN), ("gone", OPEN)], ["gone"]),
        ([("gone", NONE), ("seen", NONE)], ["new"]),
        ([("seen", NONE), ("gone", OPEN), ("gone", NONE), ("seen", NONE)], ["new", "gone", "new"]),
        ([("seen", NONE), ("forget", NONE), ("seen", NONE)], ["new", "new"]),
    ],
    ids=[
        "goes on",
        "open since before a restart",
        "called over and still there",
        "flaps",
        "ends after a restart",
        "never there",
        "comes back",
        "switched off and on",
    ],
)
def test_a_cause_is_new_once_until_it_was_gone(looks: list[tuple[str, Any]], said: list[str]) -> None:
    """Look by look, each with the causes whose alerts are open."""
    desk = Desk()
    causes = ClockCauses(desk)  # type: ignore[arg-type]
    for what, known in looks:
        match what:
            case "seen":
                causes.seen(Sighting(CAUSE, Severity.HIGH, 0), known)
            case "gone":
                causes.gone(CAUSE, known)
            case _:
                causes.forget(CAUSE)

    assert desk.said == said
