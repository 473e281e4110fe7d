"""How analytics asks billing what devices measured: a bounded number at a time, never longer than its caller waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TypeVar

import grpc
from energy.billing.v1 import usage_pb2, usage_service_pb2, usage_service_pb2_grpc

from analytics.usage.measured_energy import MeasuredEnergy, Window
from common.call_deadline import shortened
from common.energy import milliwatt_hours
from common.errors import DeadlineExceeded, DependencyUnavailable, reason_of
from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import from_ms

DEVICES_MAXIMUM = 1000

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class UsageClient:
    """Asks billing's `UsageService`; `concurrency` calls run at a time, the rest wait within their deadline."""

    def __init__(self, usage: usage_service_pb2_grpc.UsageServiceAsyncStub, concurrency: int) -> None:
        self._usage = usage
        self._slots = asyncio.Semaphore(concurrency)

    async def measured(
        self, device_ids: Sequence[str], window: Window, time_remaining_seconds: float | None
    ) -> list[MeasuredEnergy]:
        """What the devices measured in the window, by device id; devices without a reading are left out.

        Raises:
            DeadlineExceeded: the caller's remaining time is over.
            DependencyUnavailable: billing is away.
            grpc.aio.AioRpcError: billing refused.
        """
        deadline = asyncio.get_running_loop().time() + shortened(SLOW_TIMEOUT_SECONDS, time_remaining_seconds)
        answers = []
        for chunk in _chunks(device_ids):
            answers.extend(await self._summarize(chunk, window, deadline))
        return answers

    async def listed(
        self, question: usage_service_pb2.ListUsageRequest, time_remaining_seconds: float | None
    ) -> usage_service_pb2.ListUsageResponse:
        """What a device measured in intervals, a page of it.

        Raises:
            DeadlineExceeded: the caller's remaining time is over.
            DependencyUnavailable: billing is away.
            grpc.aio.AioRpcError: billing refused.
        """
        deadline = asyncio.get_running_loop().time() + shortened(SLOW_TIMEOUT_SECONDS, time_remaining_seconds)
        return await self._asked(self._usage.ListUsage, question, deadline)

    async def recorded(
        self, question: usage_service_pb2.ListReadingsRequest, time_remaining_seconds: float | None
    ) -> usage_service_pb2.ListReadingsResponse:
        """The readings of a device, a page of them.

        Raises:
            DeadlineExceeded: the caller's remaining time is over.
            DependencyUnavailable: billing is away.
            grpc.aio.AioRpcError: billing refused.
        """
        deadline = asyncio.get_running_loop().time() + shortened(SLOW_TIMEOUT_SECONDS, time_remaining_seconds)
        return await self._asked(self._usage.ListReadings, question, deadline)

    async def summarized(
        self, question: usage_service_pb2.SummarizeUsageRequest, time_remaining_seconds: float | None
    ) -> usage_service_pb2.SummarizeUsageResponse:
        """What some devices measured in a period, by device id; devices without a reading are left out.

        Raises:
            DeadlineExceeded: the caller's remaining time is over.
            DependencyUnavailable: billing is away.
            grpc.aio.AioRpcError: billing refused.
        """
        deadline = asyncio.get_running_loop().time() + shortened(SLOW_TIMEOUT_SECONDS, time_remaining_seconds)
        return await self._asked(self._usage.SummarizeUsage, question, deadline)

    async def minutes(
        self, question: usage_service_pb2.ListMinuteTotalsRequest, time_remaining_seconds: float | None
    ) -> usage_service_pb2.ListMinuteTotalsResponse:
        """What some devices measured together, by the minute.

        Raises:
            DeadlineExceeded: the caller's remaining time is over.
            DependencyUnavailable: billing is away.
            grpc.aio.AioRpcError: billing refused.
        """
        deadline = asyncio.get_running_loop().time() + shortened(SLOW_TIMEOUT_SECONDS, time_remaining_seconds)
        return await self._asked(self._usage.ListMinuteTotals, question, deadline)

    async def _summarize(self, device_ids: Sequence[str], window: Window, deadline: float) -> list[MeasuredEnergy]:
        request = usage_service_pb2.SummarizeUsageRequest(
            device_ids=device_ids, start_time=from_ms(window.start_ms), end_time=from_ms(window.end_ms)
        )
        response = await self._asked(self._usage.SummarizeUsage, request, deadline)
        return [_measured(device.device_id, device.usage) for device in response.devices]

    async def _asked(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Question, Answer], question: Question, deadline: float
    ) -> Answer:
        try:
            async with asyncio.timeout_at(deadline), self._slots:
                left_seconds = deadline - asyncio.get_running_loop().time()
                return await method(question, timeout=left_seconds)
        except TimeoutError:
            raise DeadlineExceeded from None
        except grpc.aio.AioRpcError as failure:
            # An answer with a reason is billing's own word; without one nobody answered.
            if failure.code() is grpc.StatusCode.UNAVAILABLE and reason_of(failure) is None:
                raise DependencyUnavailable("billing") from failure
            raise


def _chunks(device_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(device_ids), DEVICES_MAXIMUM):
        yield device_ids[first : first + DEVICES_MAXIMUM]


def _measured(device_id: str, usage: usage_pb2.Usage) -> MeasuredEnergy:
    return MeasuredEnergy(
        device_id=device_id,
        reading_count=usage.reading_count,
        import_milliwatt_hours=milliwatt_hours(usage.import_kwh) if usage.HasField("import_kwh") else None,
        delivered_milliwatt_hours=(
            milliwatt_hours(usage.energy_delivered_kwh) if usage.HasField("energy_delivered_kwh") else None
        ),
        mean_temperature_celsius=(
            usage.mean_temperature_celsius if usage.HasField("mean_temperature_celsius") else None
        ),
    )
