"""Which of many segments hold readings of a device: learnt only when somebody asks, for mostly nobody does."""

from collections.abc import Collection, Iterable

from billing.log.segment import Segment


class DeviceIndex:
    """Finds the segments of devices without looking into each at every question."""

    def __init__(self) -> None:
        self._of_device: dict[str, list[str]] = {}
        self._indexed: set[str] = set()

    def batch_ids(self, segments: Iterable[Segment], device_ids: Collection[str]) -> list[str]:
        """Ids of those that have a reading of one of the devices, and of some that are not among the segments."""
        for segment in segments:
            if segment.batch_id not in self._indexed:
                self._indexed.add(segment.batch_id)
                for columns in segment.kinds:
                    for device_id in columns.device_ids:
                        self._of_device.setdefault(device_id, []).append(segment.batch_id)
        found = (self._of_device.get(device_id, ()) for device_id in device_ids)
        return list(dict.fromkeys(batch_id for some in found for batch_id in some))

    def forget_unless(self, segment_count: int) -> None:
        """Begins anew if it knows more than twice as many segments as there are: most of what it knows is gone."""
        if len(self._indexed) > 2 * segment_count:
            self._of_device, self._indexed = {}, set()
