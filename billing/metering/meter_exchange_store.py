"""Exchanges of meters and multipliers on record: a device and an instant have one, and it is never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from billing.metering.metered_interval import CHANNELS
from billing.metering.register import MeterExchange
from common.errors import MeterExchangeExists
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """An exchange of the meter of a device, by channel (`import`, `export`); who recorded it when, epoch ms.

    `multiplier` is that of its registers from then on; None is the one before. Without a channel the meter stayed.
    """

    device_id: str
    at_ms: int
    channels: Mapping[str, MeterExchange]
    actor: str
    note: str
    record_ms: int
    multiplier: Decimal | None = None


class MeterExchangeStore:
    """The collection `meter_exchanges`."""

    def __init__(self, database: Database) -> None:
        self._exchanges = database["meter_exchanges"]

    async def prepare(self) -> None:
        """Makes the index exchanges are read by; it begins with the shard key."""
        await self._exchanges.create_index([("device_id", ASCENDING), ("at", ASCENDING)])

    async def add(self, exchange: RecordedExchange) -> RecordedExchange:
        """Puts an exchange on record, or finds it there; returns what is on record.

        Raises:
            MeterExchangeExists: another one is on record for the instant.
        """
        document = _document(exchange)
        try:
            await self._exchanges.insert_one(document)
        except DuplicateKeyError:
            kept = await self._exchanges.find_one({"_id": document["_id"]}, max_time_ms=_READ_TIMEOUT_MS)
            known = exchange if kept is None else _exchange(kept)
            if replace(known, record_ms=exchange.record_ms) != exchange:
                raise MeterExchangeExists(exchange.device_id, exchange.at_ms) from None
            return known
        return exchange

    async def find(self, device_id: str) -> Sequence[RecordedExchange]:
        """The exchanges of a device, by time."""
        cursor = self._exchanges.find({"device_id": device_id}).sort([("device_id", ASCENDING), ("at", ASCENDING)])
        return [_exchange(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def by_channel(self, device_id: str) -> dict[str, list[MeterExchange]]:
        """The exchanges of each channel of a device, by time, those among them that tell a multiplier only."""
        found: dict[str, list[MeterExchange]] = {}
        for exchange in await self.find(device_id):
            for channel in CHANNELS:
                one = exchange.channels.get(channel.name, MeterExchange(exchange.at_ms, None, None))
                if channel.name in exchange.channels or exchange.multiplier is not None:
                    found.setdefault(channel.name, []).append(one._replace(multiplier=exchange.multiplier))
        return found


def _document(exchange: RecordedExchange) -> dict[str, Any]:
    return {
        "_id": f"{exchange.device_id}@{exchange.at_ms}",
        "device_id": exchange.device_id,
        "at": datetime_from_ms(exchange.at_ms),
        "channels": {
            name: {
                "final_milliwatt_hours": one.final_milliwatt_hours,
                "initial_milliwatt_hours": one.initial_milliwatt_hours,
            }
            for name, one in exchange.channels.items()
        },
        "actor": exchange.actor,
        "note": exchange.note,
        "recorded_at": datetime_from_ms(exchange.record_ms),
        **({} if exchange.multiplier is None else {"multiplier": str(exchange.multiplier)}),
    }


def _exchange(document: Mapping[str, Any]) -> RecordedExchange:
    at_ms = datetime_to_ms(document["at"])
    return RecordedExchange(
        device_id=document["device_id"],
        at_ms=at_ms,
        channels={
            name: MeterExchange(at_ms, one["final_milliwatt_hours"], one["initial_milliwatt_hours"])
            for name, one in document["channels"].items()
        },
        actor=document["actor"],
        note=document["note"],
        record_ms=datetime_to_ms(document["recorded_at"]),
        multiplier=Decimal(document["multiplier"]) if "multiplier" in document else None,
    )
