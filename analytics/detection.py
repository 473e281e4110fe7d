"""How what the stream shows becomes alerts: the detector that looks, the desk that writes, and the baselines kept."""

from __future__ import annotations

from analytics.alert_desk import AlertDesk
from analytics.detector import Detector
from analytics.observation import ReceivedBatches


class Detection:
    """Looks at batches before they are acknowledged, so that what they show is not lost."""

    def __init__(self, detector: Detector, desk: AlertDesk) -> None:
        self._detector = detector
        self._desk = desk

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be stored that nothing more should be looked at before."""
        return self._desk.is_full

    def look(self, batches: ReceivedBatches) -> None:
        """Looks at the readings of some batches."""
        self._detector.look(batches)

    async def write(self) -> None:
        """Returns when what was seen is stored.

        Raises:
            pymongo.errors.PyMongoError: the store is away.
        """
        await self._desk.write()
