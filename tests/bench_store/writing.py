"""The way of writing, from segments to documents, beside bulk writes of the same documents by themselves."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import bson
from prometheus_client import CollectorRegistry
from pymongo import MongoClient, ReplaceOne

from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.cold.merger import Merger, MergeSettings
from billing.cold.merger_metrics import MergerMetrics
from billing.cold.quarantine_store import QuarantineStore
from billing.live.live_store import LiveStore
from billing.log import segment_document
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.schema import HOUR_MS, METER
from billing.log.segment import Segment
from billing.log.tail import Tail
from common.mongo import Database, close, open_database
from loadgen.bench.row import Row
from tests.bench_store.made_day import (
    READINGS_AN_HOUR,
    Document,
    cold_documents,
    gathered_hour,
    hot_documents,
    segments_of_hour,
)

_PARTITIONS = 8
_SEGMENTS_A_WRITE = 64
_DOCUMENTS_A_WRITE = 50
_READINGS_A_ROUND = 100_000
_BARE_DEVICES = 500
_DROP_TIMEOUT_MS = 300_000


async def write_rows(mongo_url: str, device_ids: Sequence[str], day_ms: int, seconds: float) -> list[Row]:
    """`day_written` and `bytes_per_reading`, in a database of their own, so that no other merger takes part."""
    async with _scratch(mongo_url) as database:
        written, spent_seconds, hours = await _write_hours(database, device_ids, day_ms, seconds)
    async with _scratch(mongo_url) as database:
        bare = await _bare_readings_a_second(database, device_ids[:_BARE_DEVICES], day_ms)
    return [
        Row(
            "day_written",
            written / spent_seconds,
            "readings/s",
            {"bulk_writes": bare},
            details={"readings": written, "hours_of_the_day": hours, "seconds": round(spent_seconds, 1)},
        ),
        _bytes_row(device_ids[:_BARE_DEVICES], day_ms),
    ]


async def _write_hours(
    database: Database, device_ids: Sequence[str], day_ms: int, seconds: float
) -> tuple[int, float, int]:
    """Readings written, the seconds that took, and how many hours of the day they are; whole hours only."""
    log, tail = LogStore(database), Tail(len(device_ids) * READINGS_AN_HOUR + 1)
    # The day has not ended while it is being written.
    history = HistoryStore(database, DayStore(database, lambda: day_ms))
    await history.prepare()
    ticks = itertools.count()
    merger = Merger(
        tail=tail,
        log=log,
        history=history,
        live=LiveStore(database),
        partitions=lambda: frozenset(range(_PARTITIONS)),
        settings=MergeSettings(0.0, _READINGS_A_ROUND, 3600.0),
        metrics=MergerMetrics(CollectorRegistry()),
        publish=lambda _: None,
        give_way=LogWriter(log),
        clock=lambda: float(next(ticks)),
        quarantine=QuarantineStore(database),
    )
    written, spent_seconds = 0, 0.0
    for hour in range(24):
        segments = list(segments_of_hour(device_ids, day_ms + hour * HOUR_MS, _PARTITIONS))
        began = time.monotonic()
        await _log(log, tail, segments)
        while await merger.fold_due(everything=True):
            pass
        spent_seconds += time.monotonic() - began
        written += len(device_ids) * READINGS_AN_HOUR
        if spent_seconds >= seconds:
            break
    counted = await database[METER.history].count_documents({})
    if counted * READINGS_AN_HOUR != written:
        raise RuntimeError(f"{counted} documents are stored of {written} readings")
    return written, spent_seconds, hour + 1


async def _log(log: LogStore, tail: Tail, segments: Sequence[Segment]) -> None:
    for first in range(0, len(segments), _SEGMENTS_A_WRITE):
        some = segments[first : first + _SEGMENTS_A_WRITE]
        await log.append(some)
        for segment in some:
            tail.hold(segment, 0.0)


async def _bare_readings_a_second(database: Database, device_ids: Sequence[str], day_ms: int) -> float:
    """Readings that their documents alone bring in, in bulk: segments, cold ones inserted and hot ones replaced."""
    await HistoryStore(database).prepare()
    segments, cold, hot = _documents(device_ids, day_ms)
    await database[METER.live].insert_many(hot)
    began = time.monotonic()
    for first in range(0, len(segments), _SEGMENTS_A_WRITE):
        await database["readings_log"].insert_many(segments[first : first + _SEGMENTS_A_WRITE], ordered=False)
    for first in range(0, len(cold), _DOCUMENTS_A_WRITE):
        await database[METER.history].insert_many(cold[first : first + _DOCUMENTS_A_WRITE], ordered=False)
    replaced = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in hot]
    await database[METER.live].bulk_write(replaced, ordered=False)
    return len(device_ids) * READINGS_AN_HOUR / (time.monotonic() - began)


def _documents(device_ids: Sequence[str], day_ms: int) -> tuple[list[Document], list[Document], list[Document]]:
    gathered = gathered_hour("meter", device_ids, day_ms)
    segments = [segment_document.to_document(segment) for segment in segments_of_hour(device_ids, day_ms, _PARTITIONS)]
    return segments, cold_documents(gathered), hot_documents(gathered)


def _bytes_row(device_ids: Sequence[str], day_ms: int) -> Row:
    segments, cold, _ = _documents(device_ids, day_ms)
    readings = len(device_ids) * READINGS_AN_HOUR
    in_log, in_cold = (sum(len(bson.encode(one)) for one in some) / readings for some in (segments, cold))
    return Row(
        "bytes_per_reading",
        in_log + in_cold,
        "bytes",
        details={"log": round(in_log, 1), "cold": round(in_cold, 1), "as": "BSON, before the server compresses it"},
    )


@asynccontextmanager
async def _scratch(mongo_url: str) -> AsyncIterator[Database]:
    database = open_database(mongo_url, f"bench_{uuid.uuid4().hex}", appname="bench-store")
    try:
        yield database
    finally:
        close(database)
    await asyncio.to_thread(_drop, mongo_url, database.name)


def _drop(mongo_url: str, name: str) -> None:
    # The server of a bare machine takes longer for millions of readings than any question of the services may take.
    with MongoClient[Document](mongo_url, timeoutMS=_DROP_TIMEOUT_MS) as client:
        client.drop_database(name)
