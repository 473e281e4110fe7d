"""How set-aside events get another try: on the exchange of the events, under the type they were told by."""

from __future__ import annotations

from common.broker import BrokerConnection, Publisher, PublishFailed
from common.dead_letters import REPLAY_COUNT_HEADER, DeadLetter
from common.errors import DependencyUnavailable


class EventReplay:
    """Tells events again; whoever takes them knows them by what they are about, so twice is harmless."""

    def __init__(self, connection: BrokerConnection) -> None:
        self._publisher = Publisher(connection)

    async def publish(self, letter: DeadLetter) -> None:
        """Returns when the queue of every service that takes such events has it.

        Raises:
            DependencyUnavailable: not every one has it, or it is not known.
        """
        try:
            await self._publisher.publish(
                letter.exchange,
                letter.routing_key,
                letter.body,
                message_id=letter.batch_id or letter.dead_letter_id,
                type_name=letter.routing_key,
                headers={REPLAY_COUNT_HEADER: letter.replay_count + 1},
            )
        except PublishFailed as failed:
            raise DependencyUnavailable("rabbitmq") from failed
