"""The way of a batch to the queues and out of them: a connection that mends itself, a publisher, a consumer."""

from common.broker_connection import BrokerConnection
from common.broker_consumer import Consumer, Delivery
from common.broker_failures import BrokerAway, PublishFailed, Rejected, Unroutable
from common.broker_publisher import Publisher

__all__ = [
    "BrokerAway",
    "BrokerConnection",
    "Consumer",
    "Delivery",
    "PublishFailed",
    "Publisher",
    "Rejected",
    "Unroutable",
]
