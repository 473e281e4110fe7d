"""Where the parts of a running mesh are reached, as values and as environment variables."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from common.localstack.settings import LOOPBACK, LocalSettings, Ports

SERVICE_NAMES = ("gateway", "ingestion", "billing", "analytics")


@dataclass(frozen=True)
class ServerAddresses:
    """The addresses of the three servers, whoever runs them."""

    amqp_url: str
    mongo_url: str
    redis_url: str

    @classmethod
    def of(cls, settings: LocalSettings) -> Self:
        """The addresses given in the environment, else those of the private servers."""
        ports = settings.ports
        # With mongod an acknowledged write waits for its journal; the wheel has a flag of its own for that.
        journal = "&journal=true" if settings.sync_on_commit else ""
        # At each write that may be retried the local server looks through up to 10 000 others: 5.7 ms instead of 0.7.
        # Whoever writes here is ready to do it again anyway.
        options = f"directConnection=true&retryWrites=false{journal}"
        return cls(
            amqp_url=settings.amqp_url or f"amqp://guest:guest@{LOOPBACK}:{ports.amqp}/",
            mongo_url=settings.mongo_url or f"mongodb://{LOOPBACK}:{ports.mongo}/?{options}",
            redis_url=settings.redis_url or f"redis://{LOOPBACK}:{ports.redis}/0",
        )

    def environment(self) -> dict[str, str]:
        """The same as the variables that services read."""
        return {"AMQP_URL": self.amqp_url, "MONGO_URL": self.mongo_url, "REDIS_URL": self.redis_url}


def service_addresses(ports: Ports) -> dict[str, str]:
    """The variables that hold each service's gRPC address as host:port."""
    return {f"{name.upper()}_ADDRESS": f"{LOOPBACK}:{getattr(ports, name)}" for name in SERVICE_NAMES}


def without_password(url: str) -> str:
    """A URL as it may be shown: without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
