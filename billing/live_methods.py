"""The two methods for the newest readings; they only translate."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from energy.billing.v1 import usage_pb2
from energy.billing.v1 import usage_service_pb2 as pb

from billing.cold.reading_codec import to_live_reading
from billing.live.live_state import LiveState
from billing.log.complete_through import CompleteThrough
from billing.usage import usage_request as checked
from billing.usage.live_reader import LiveReader
from common.instants import optional_from_ms
from common.registry_cache import RegistryCache


class LiveMethods:
    """Answers from the hot documents; `clock` is now, UTC milliseconds."""

    def __init__(
        self, live: LiveReader, registry: RegistryCache, complete_through: CompleteThrough, clock: Callable[[], int]
    ) -> None:
        self._live = live
        self._registry = registry
        self._complete_through = complete_through
        self._clock = clock

    async def get(self, request: pb.GetLiveReadingRequest) -> pb.GetLiveReadingResponse:
        """The newest reading of a device.

        Raises:
            DeviceNotFound: there is no such device.
        """
        complete_through = optional_from_ms(self._complete_through.latest_ms)
        device = await self._registry.find(checked.required_device_id(request.device_id))
        found = await self._live.find([device.device_id])
        live_reading = next(self._live_readings(found, [device.device_id]), None)
        return pb.GetLiveReadingResponse(live_reading=live_reading, complete_through=complete_through)

    async def batch_get(self, request: pb.BatchGetLiveReadingsRequest) -> pb.BatchGetLiveReadingsResponse:
        """The newest readings of many devices.

        Raises:
            InvalidArgument: none or too many are named.
        """
        complete_through = optional_from_ms(self._complete_through.latest_ms)
        device_ids = checked.device_ids("device_ids", request.device_ids)
        found = await self._live.find(device_ids)
        return pb.BatchGetLiveReadingsResponse(
            live_readings=self._live_readings(found, device_ids), complete_through=complete_through
        )

    def _live_readings(
        self, states: Mapping[str, LiveState], device_ids: Sequence[str]
    ) -> Iterator[usage_pb2.LiveReading]:
        now_ms = self._clock()
        for device_id in device_ids:
            state, device = states.get(device_id), self._registry.get(device_id)
            if state is not None:
                expected_interval_ms = None if device is None else device.expected_interval_ms
                yield to_live_reading(state, expected_interval_ms=expected_interval_ms, now_ms=now_ms)
