"""The causes that are looked for by the clock: each is new once, however often it is looked at, until it was gone."""

from __future__ import annotations

from collections.abc import Collection

from analytics.alerts.alert import Cause, Sighting
from analytics.alerts.alert_desk import AlertDesk


class ClockCauses:
    """Remembers which causes are there, so that whoever looks again and again tells the desk what is new.

    `known` are the keys of the causes whose alerts are open, or were called over while their causes were there. Of a
    cause that was not looked at before they say whether it was there, as after a restart; of the others this knows
    more.
    """

    def __init__(self, desk: AlertDesk) -> None:
        self._desk = desk
        self._is_there: dict[str, bool] = {}

    def is_there(self, cause: Cause) -> bool:
        """Whether it was told and is not gone."""
        return self._is_there.get(cause.key, False)

    def seen(self, sighting: Sighting, known: Collection[str]) -> None:
        """A cause was seen."""
        key = sighting.cause.key
        was_there = self._is_there.get(key, key in known)
        self._is_there[key] = True
        self._desk.seen(sighting, is_new=not was_there)

    def gone(self, cause: Cause, known: Collection[str]) -> None:
        """A cause is not there, whether or not it was."""
        if not self._is_there.get(cause.key, cause.key in known):
            self._forget_over(cause, known)
            return
        self._is_there[cause.key] = False
        self._desk.gone(cause)

    def forget(self, cause: Cause) -> None:
        """A cause is not looked for any more; when it is again, it is new."""
        self._is_there.pop(cause.key, None)

    def _forget_over(self, cause: Cause, known: Collection[str]) -> None:
        # Once its alert is over there is nothing left to know.
        if cause.key not in known:
            self._is_there.pop(cause.key, None)
