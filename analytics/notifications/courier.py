"""Sends what is due: takes a delivery out of the outbox, sends it by its way, and notes what came of it.

Each is tried three times, with growing pauses. Whoever dies in between is found out by the lease that ends: what a
receiver knows again is sent again; a mail that was being handed over is not, for it may have arrived.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram
from pymongo.errors import PyMongoError

from analytics.notifications.delivery_store import DeliveryStore, Taken
from analytics.notifications.notification import TRIES_MAXIMUM, Attempt, Delivery, DeliveryState, Outcome
from analytics.notifications.preferences import Channel, Route
from analytics.notifications.preferences_store import PreferencesStore
from analytics.notifications.sender import Answer, NotOurs, Sender
from common.logs import get_logger
from common.wake_up import WakeUp

_SEND_SECONDS = 20.0
_LEASE_MS = 60_000
_CONCURRENCY = 16
_PAUSE_SECONDS = 1.0
# The second pause is six times the first.
_GROWTH = 6
_FINAL = {Outcome.REFUSED, Outcome.FORBIDDEN}
_SECONDS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

_log = get_logger(__name__)


class Courier:
    """Sends until cancelled, by `run()`; any number of replicas may send from one outbox.

    `retry_ms` is the pause after the first try that failed.
    """

    def __init__(
        self,
        deliveries: DeliveryStore,
        preferences: PreferencesStore,
        senders: Mapping[Channel, Sender],
        registry: CollectorRegistry,
        *,
        retry_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._deliveries = deliveries
        self._preferences = preferences
        self._senders = senders
        self._retry_ms = retry_ms
        self._now_ms = now_ms
        self._holder = uuid.uuid4().hex
        self._wake_up = WakeUp()
        self._is_closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._sending = 0
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._attempts = Counter(
            "notification_attempts",
            "Tries to deliver, by what came of them.",
            ["channel", "outcome"],
            registry=registry,
        )
        self._ended = Counter(
            "notification_deliveries", "Deliveries that ended.", ["channel", "state"], registry=registry
        )
        # From zero, else the first failure would be no increase.
        for channel, state in product(Channel, set(DeliveryState) - {DeliveryState.PENDING}):
            self._ended.labels(channel, state)
        self._seconds = Histogram(
            "notification_delivery_seconds",
            "Time from when a delivery was made until it was taken.",
            ["channel"],
            buckets=_SECONDS_BUCKETS,
            registry=registry,
        )

    def notify(self) -> None:
        """Says that there is something to send, so that it need not wait for the next look."""
        self._wake_up.notify()

    async def close(self) -> None:
        """Takes nothing more, and waits for what is being sent."""
        self._is_closing = True
        await self._idle.wait()

    async def run(self) -> None:
        """Sends until cancelled; what could not be sent now is sent later."""
        async with asyncio.TaskGroup() as sending:
            while True:
                self._wake_up.begin_look()
                try:
                    is_more = await self._take(sending)
                except PyMongoError as away:
                    _log.warning("deliveries_wait", cause=type(away).__name__)
                    is_more = False
                if not is_more:
                    await self._wake_up.wait(_PAUSE_SECONDS)

    async def _take(self, sending: asyncio.TaskGroup) -> bool:
        """Takes one that is due and begins to send it; False if there is none."""
        await self._slots.acquire()
        taken = None
        self._began()
        try:
            if not self._is_closing:
                taken = await self._deliveries.take_due(self._holder, self._now_ms(), _LEASE_MS)
        except (KeyError, ValueError) as unknown:
            # Of a newer release, as after a rollback; it is taken, so the others are not kept waiting by it.
            _log.error("delivery_unreadable", cause=repr(unknown))
            return True
        finally:
            if taken is None:
                self._done()
        if taken is None:
            return False
        sending.create_task(self._deliver(taken), name="notification_delivery")
        return True

    async def _deliver(self, taken: Taken) -> None:
        try:
            await self.deliver(taken)
        except PyMongoError as away:
            # It stays taken; when the lease ends, somebody finds it.
            _log.warning("delivery_unnoted", delivery_id=taken.delivery.delivery_id, cause=type(away).__name__)
        finally:
            self._done()

    async def deliver(self, taken: Taken) -> None:
        """Sends one that was taken, and notes what came of it.

        Raises:
            PyMongoError: the store is away.
        """
        delivery = taken.delivery
        sender = self._senders[delivery.channel]
        if taken.was_handed_over and not sender.is_repeatable:
            await self._end(taken, None, DeliveryState.UNCERTAIN)
            return
        if len(delivery.attempts) >= TRIES_MAXIMUM:
            await self._end(taken, None, DeliveryState.FAILED)
            return
        route = await self._route(delivery)
        if route is None:
            await self._end(taken, None, DeliveryState.SUPPRESSED)
            return
        answer = await self._sent(taken, sender, route)
        if answer is None:
            return
        attempt = Attempt(self._now_ms(), answer.outcome, answer.status_code)
        self._attempts.labels(delivery.channel, answer.outcome).inc()
        tries = len(delivery.attempts) + 1
        if answer.outcome is Outcome.TAKEN:
            self._seconds.labels(delivery.channel).observe((attempt.time_ms - delivery.create_ms) / 1000)
            await self._end(taken, attempt, DeliveryState.SENT)
        elif answer.outcome is Outcome.LOST:
            await self._end(taken, attempt, DeliveryState.UNCERTAIN)
        elif answer.outcome in _FINAL or tries >= TRIES_MAXIMUM:
            await self._end(taken, attempt, DeliveryState.FAILED)
        else:
            due_ms = attempt.time_ms + self._retry_ms * _GROWTH ** (tries - 1)
            await self._deliveries.finish(taken, attempt, DeliveryState.PENDING, due_ms)

    async def _route(self, delivery: Delivery) -> Route | None:
        """The route as it is now; None if its recipient uses it no more."""
        preferences = await self._preferences.find(delivery.recipient_id)
        routes = [] if preferences is None else preferences.routes
        return next((route for route in routes if route.is_enabled and route.key == delivery.route_key), None)

    async def _sent(self, taken: Taken, sender: Sender, route: Route) -> Answer | None:
        """What the receiver said; None if it is not ours to send any more."""
        is_handed_over = False

        async def hand_over() -> None:
            nonlocal is_handed_over
            if not await self._deliveries.hand_over(taken):
                raise NotOurs
            is_handed_over = True

        try:
            async with asyncio.timeout(_SEND_SECONDS):
                return await sender.send(taken.delivery, route, hand_over)
        except NotOurs:
            _log.warning("delivery_taken_by_another", delivery_id=taken.delivery.delivery_id)
            return None
        except TimeoutError:
            cause = "timeout"
        except Exception:  # noqa: BLE001 - one message that cannot be sent must not keep all others from it
            cause = "failure"
            _log.exception("delivery_failed", delivery_id=taken.delivery.delivery_id)
        _log.warning("delivery_unanswered", delivery_id=taken.delivery.delivery_id, cause=cause)
        return Answer(Outcome.LOST if is_handed_over and not sender.is_repeatable else Outcome.AWAY)

    async def _end(self, taken: Taken, attempt: Attempt | None, state: DeliveryState) -> None:
        delivery = taken.delivery
        if not await self._deliveries.finish(taken, attempt, state, None):
            return
        self._ended.labels(delivery.channel, state).inc()
        if state in {DeliveryState.FAILED, DeliveryState.UNCERTAIN}:
            outcome = Outcome.LOST if attempt is None else attempt.outcome
            _log.error("notification_undelivered", delivery_id=delivery.delivery_id, state=state, outcome=outcome)

    def _began(self) -> None:
        self._sending += 1
        self._idle.clear()

    def _done(self) -> None:
        self._slots.release()
        self._sending -= 1
        if not self._sending:
            self._idle.set()
