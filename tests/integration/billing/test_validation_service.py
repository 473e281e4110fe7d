"""Validation, estimation and editing through the door, on a real store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
from energy.billing.v1 import validation_pb2
from energy.billing.v1 import validation_service_pb2 as pb
from energy.billing.v1.validation_pb2 import RecordedEdit
from energy.billing.v1.validation_service_pb2_grpc import ValidationServiceStub
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from prometheus_client import CollectorRegistry

from billing.cold.span import readings_of
from billing.log.kind_columns import LoggedReading
from billing.log.log_writer import LogWriter
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER
from billing.log.segment import Segment
from billing.validation.reading_validation import ReadingValidation
from billing.validation_wiring import prepare_validation, validation_parts
from common.errors import DeviceNotFound
from common.grpc_client import open_channel
from common.instants import datetime_from_ms, from_ms
from common.interceptors import standard_interceptors
from common.logs import get_logger
from common.mongo import Database
from common.registry_cache import CachedDevice
from tests.integration.billing.pricing_mesh import error_of
from tests.integration.billing.store import DEVICE, PARTITION, PARTITIONS, Store, instant_ms, store_on

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.billing.v1.validation_service_pb2_grpc import ValidationServiceAsyncStub

QUARTER_MS = 900_000
DAY_MS = 96 * QUARTER_MS
MONDAY_MS = instant_ms("2026-06-01T00:00:00")
KWH = 1_000_000


class OneDevice:
    """A registry of one meter of 10 kW that sends every quarter of an hour."""

    async def find(self, device_id: str) -> CachedDevice:
        """The meter."""
        if device_id != DEVICE:
            raise DeviceNotFound(device_id)
        return CachedDevice(
            DEVICE, DEVICE_KIND_METER, "acc-1", "", "region-1", "UTC", QUARTER_MS, (), 0, connection_kw=10.0
        )


@dataclass
class Door:
    """The service, and the store behind it."""

    stub: "ValidationServiceAsyncStub"
    store: Store
    validation: ReadingValidation

    async def counting(
        self, start_ms: int = MONDAY_MS, end_ms: int = MONDAY_MS + 31 * DAY_MS
    ) -> dict[int, tuple[object, int]]:
        """Import and quality of the readings that count, by quarter-hour from Monday."""
        return {
            (at_ms - MONDAY_MS) // QUARTER_MS: (one.values[0], one.quality)
            async for key, span in self.store.usage.spans(METER, DEVICE, start_ms, end_ms)
            for at_ms, one, superseded in readings_of(key, span, start_ms, end_ms)
            if not superseded
        }

    async def validate(self, start_ms: int, end_ms: int, *, estimate: bool = False) -> pb.ValidateReadingsResponse:
        """Validates a window."""
        return await self.stub.ValidateReadings(
            pb.ValidateReadingsRequest(
                device_id=DEVICE, start_time=from_ms(start_ms), end_time=from_ms(end_ms), estimate=estimate
            )
        )

    async def exceptions(self) -> list[validation_pb2.ReadingException]:
        """All that are on record, page by page of one."""
        found: list[validation_pb2.ReadingException] = []
        token = ""
        while True:
            page = await self.stub.ListReadingExceptions(
                pb.ListReadingExceptionsRequest(
                    device_id=DEVICE,
                    start_time=from_ms(0),
                    end_time=from_ms(MONDAY_MS * 2),
                    page_size=1,
                    page_token=token,
                )
            )
            found += page.exceptions
            token = page.next_page_token
            if not token:
                return found


@asynccontextmanager
async def door(database: Database) -> AsyncIterator[Door]:
    """The service on a server of its own."""
    store = await store_on(database)
    await prepare_validation(database)
    writer = LogWriter(store.log)
    writing = asyncio.create_task(writer.run())
    parts = validation_parts(
        database,
        usage=store.usage,
        writer=writer,
        tail=store.tail,
        publish=lambda _: None,
        registry=OneDevice(),  # type: ignore[arg-type]
        partitions=PARTITIONS,
        holidays=(),
        clock_ms=store.clock,
    )
    add, servicer, _ = parts.servicer
    interceptors = standard_interceptors("billing.energy", get_logger("test"), CollectorRegistry())
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        yield Door(ValidationServiceStub(channel), store, parts.validation)
    finally:
        await channel.close()
        await server.stop(0)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing


def quarter(place: int, energy: int, revision: int = 0) -> LoggedReading:
    """The quarter-hour of a place from Monday on, received when it was over."""
    at_ms = MONDAY_MS + place * QUARTER_MS
    return LoggedReading(
        "meter", DEVICE, at_ms, QUARTER_MS, revision, at_ms + QUARTER_MS, (energy, *[None] * (len(METER.columns) - 1))
    )


def energy_of(place: int) -> int:
    """An energy that the time of day decides, the last digits never the same twice."""
    return 200_000 + place % 96 * 1000


def log(*readings: LoggedReading) -> list[Segment]:
    """A segment that devices sent."""
    return [Segment.of(f"b-{readings[0].start_ms}-{readings[0].revision}", PARTITION, "w", 1, 0, 5, list(readings))]


async def test_gaps_are_found_estimated_and_give_way(database: Database) -> None:
    """An hour by a line, a day by like days; the second run adds nothing, and what was late takes their place."""
    async with door(database) as mesh:
        lost = {100, 101, 102, 103, *range(4 * 96, 5 * 96)}
        await mesh.store.take(
            log(*[quarter(place, energy_of(place)) for place in range(96 * 5 + 20) if place not in lost])
        )
        await mesh.store.fold_everything()
        week = (MONDAY_MS, MONDAY_MS + 5 * DAY_MS)

        before = await mesh.validate(*week)
        first = await mesh.validate(*week, estimate=True)
        counting = await mesh.counting(*week)
        again = await mesh.validate(*week, estimate=True)

        gaps = [(one.start_time, one.end_time) for one in before.exceptions]
        assert gaps == [
            (from_ms(MONDAY_MS + 100 * QUARTER_MS), from_ms(MONDAY_MS + 104 * QUARTER_MS)),
            (from_ms(MONDAY_MS + 4 * DAY_MS), from_ms(MONDAY_MS + 5 * DAY_MS)),
        ]
        assert (first.estimated_reading_count, again.estimated_reading_count) == (100, 0)
        assert list(first.exceptions) == list(again.exceptions) == []
        assert {place: quality for place, (_, quality) in counting.items() if quality} == {
            **dict.fromkeys(range(100, 104), ReadingQuality.INTERPOLATED),
            **dict.fromkeys(range(4 * 96, 5 * 96), ReadingQuality.REFERENCE_DAYS),
        }
        assert {place: energy for place, (energy, _) in counting.items()} == {
            place: energy_of(place) for place in range(5 * 96)
        }

        await mesh.store.take(log(quarter(101, 7)))
        await mesh.store.fold_everything()
        assert (await mesh.counting())[101] == (7, ReadingQuality.MEASURED)


async def test_an_exception_is_recorded_once_and_resolved_by_a_correction(database: Database) -> None:
    """A run of two impossible intervals is one exception; when a correction came it is resolved and stays on record."""
    async with door(database) as mesh:
        wrong = {10: 3 * KWH, 11: 4 * KWH}
        await mesh.store.take(log(*[quarter(place, wrong.get(place, energy_of(place))) for place in range(96)]))
        await mesh.validate(MONDAY_MS, MONDAY_MS + 1)
        first = await mesh.exceptions()
        mesh.store.clock.advance_ms(1000)
        await mesh.validate(MONDAY_MS, MONDAY_MS + 1)
        second = await mesh.exceptions()

        assert second == first
        assert [(one.rule, one.severity, one.channel, one.value, one.limit) for one in first] == [
            (
                validation_pb2.VALIDATION_RULE_PHYSICAL_LIMIT,
                validation_pb2.VALIDATION_SEVERITY_FAILURE,
                "import",
                4 * KWH,
                2_750_000,
            ),
            (
                validation_pb2.VALIDATION_RULE_SPIKE,
                validation_pb2.VALIDATION_SEVERITY_FAILURE,
                "import",
                first[1].value,
                180,
            ),
        ]
        assert first[0].end_time == from_ms(MONDAY_MS + 12 * QUARTER_MS)

        await mesh.store.take(log(*[quarter(place, energy_of(place), revision=1) for place in wrong]))
        answer = await mesh.validate(MONDAY_MS, MONDAY_MS + 1)

        assert list(answer.exceptions) == []
        assert [one.HasField("resolved_time") for one in await mesh.exceptions()] == [True, True]


def edit(place: int, energy_kwh: float, present_revision: int | None) -> pb.ReadingEdit:
    """An edit of the quarter-hour of a place."""
    return pb.ReadingEdit(
        reading=Reading(
            start_time=from_ms(MONDAY_MS + place * QUARTER_MS), meter=MeterMeasurement(import_kwh=energy_kwh)
        ),
        present_revision=present_revision,
    )


def request(*edits: pb.ReadingEdit, reason: str = "read by hand") -> pb.EditReadingsRequest:
    """A request of these edits."""
    return pb.EditReadingsRequest(device_id=DEVICE, edits=edits, actor="jo", reason=reason)


async def test_an_edit_counts_and_both_readings_stay_on_record(database: Database) -> None:
    """Of a reading and of a place without one; the same call again changes nothing."""
    async with door(database) as mesh:
        await mesh.store.take(log(quarter(0, 500), quarter(1, 600)))
        wanted = request(edit(1, 0.5, 0), edit(2, 0.25, None))

        first = await mesh.stub.EditReadings(wanted)
        await mesh.store.fold_everything()
        again = await mesh.stub.EditReadings(wanted)
        listed = await mesh.stub.ListReadingEdits(
            pb.ListReadingEditsRequest(device_id=DEVICE, start_time=from_ms(0), end_time=from_ms(MONDAY_MS * 2))
        )

        assert first == again
        assert list(listed.edits) == list(first.edits)
        changed, new = first.edits
        assert (changed.actor, changed.reason, changed.edit_time) == ("jo", "read by hand", from_ms(mesh.store.clock()))
        assert (changed.before.reading.meter.import_kwh, changed.after.reading.revision) == (0.0006, 1)
        assert (new.HasField("before"), new.after.reading.revision) == (False, 0)
        assert await mesh.counting() == {
            0: (500, ReadingQuality.MEASURED),
            1: (KWH // 2, ReadingQuality.EDITED),
            2: (KWH // 4, ReadingQuality.EDITED),
        }


async def test_an_edit_of_what_does_not_count_any_more_is_refused_whole(database: Database) -> None:
    """Somebody else was faster: none of the edits of the call is made."""
    async with door(database) as mesh:
        await mesh.store.take(log(quarter(0, 500), quarter(1, 600)))
        await mesh.stub.EditReadings(request(edit(1, 0.5, 0)))

        for late in (request(edit(0, 0.1, 0), edit(1, 0.7, 0)), request(edit(0, 0.1, 0), edit(1, 0.7, None))):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await mesh.stub.EditReadings(late)
            code, reason, metadata, _ = error_of(failure.value)
            assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "READING_CHANGED")
            assert metadata == {"device_id": DEVICE, "start_time": "2026-06-01T00:15:00.000Z"}

        assert await mesh.counting() == {0: (500, ReadingQuality.MEASURED), 1: (KWH // 2, ReadingQuality.EDITED)}


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_edits_are_listed_page_by_page(database: Database, size: int) -> None:
    """By start and then by revision, wherever a page ends: none is left out, none comes twice."""
    async with door(database) as mesh:
        await mesh.store.take(log(quarter(0, 500), quarter(1, 600)))
        made: list[RecordedEdit] = []
        for edits in ([edit(0, 0.5, 0), edit(1, 0.6, 0)], [edit(0, 0.7, 1), edit(1, 0.8, 1)], [edit(0, 0.9, 2)]):
            made += (await mesh.stub.EditReadings(request(*edits))).edits
            await mesh.store.fold_everything()

        listed: list[RecordedEdit] = []
        token = ""
        while token or not listed:
            page = await mesh.stub.ListReadingEdits(
                pb.ListReadingEditsRequest(
                    device_id=DEVICE,
                    start_time=from_ms(0),
                    end_time=from_ms(MONDAY_MS * 2),
                    page_size=size,
                    page_token=token,
                )
            )
            assert 1 <= len(page.edits) <= size
            listed += page.edits
            token = page.next_page_token

        assert listed == sorted(
            made, key=lambda one: (one.after.reading.start_time.ToMilliseconds(), one.after.reading.revision)
        )


async def test_of_edits_at_the_same_time_one_is_made(database: Database) -> None:
    """Ten people edit the same reading; one of them wins, and the record says which."""
    async with door(database) as mesh:
        await mesh.store.take(log(quarter(0, 500)))

        outcomes = await asyncio.gather(
            *(mesh.stub.EditReadings(request(edit(0, number / 10, 0))) for number in range(1, 11)),
            return_exceptions=True,
        )

        (made,) = [one for one in outcomes if isinstance(one, pb.EditReadingsResponse)]
        assert (await mesh.counting())[0] == (
            round(made.edits[0].after.reading.meter.import_kwh * KWH),
            ReadingQuality.EDITED,
        )


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (pb.EditReadingsRequest(device_id=DEVICE, edits=[edit(0, 1.0, 0)], reason="x"), "actor"),
        (request(edit(0, 1.0, 0), reason=" "), "reason"),
        (request(), "edits"),
        (request(edit(0, 1.0, 0), edit(0, 2.0, 0)), "edits"),
        (request(edit(0, -1.0, 0)), "edits[0].reading.meter.import_kwh"),
        (request(edit(0, float("nan"), 0)), "edits[0].reading"),
        (request(edit(96 * 1000, 1.0, 0)), "edits[0].reading.start_time"),
        (request(pb.ReadingEdit(reading=Reading(start_time=from_ms(0)))), "edits[0].reading.measurement"),
    ],
)
async def test_what_is_wrong_with_an_edit_is_named(
    database: Database, wanted: pb.EditReadingsRequest, field: str
) -> None:
    """Each broken rule has its field."""
    async with door(database) as mesh:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await mesh.stub.EditReadings(wanted)

        code, _, _, fields = error_of(failure.value)
        assert (code, fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


async def test_a_day_whose_readings_were_removed_is_left_alone(database: Database) -> None:
    """Its sums stand, so nothing is missing there, and an edit that could have no effect is refused."""
    async with door(database) as mesh:
        await mesh.store.take(log(*[quarter(place, energy_of(place)) for place in range(96)]))
        await mesh.store.fold_everything()
        key = {"device_id": DEVICE, "span_start": datetime_from_ms(MONDAY_MS)}
        await database[METER.days].update_one(key, {"$set": {"sealed": True}})
        await database[METER.history].delete_many({"device_id": DEVICE})

        answer = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS, estimate=True)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await mesh.stub.EditReadings(request(edit(0, 1.0, None)))

        assert (list(answer.exceptions), answer.estimated_reading_count) == ([], 0)
        assert error_of(failure.value)[3] == ["edits"]
