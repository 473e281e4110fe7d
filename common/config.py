"""What a service is told at its start: one frozen value made of a mapping, every problem reported at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

Port = Annotated[int, Field(ge=0, le=65535)]
"""A TCP port; 0 lets the system choose a free one."""

_HOST_AND_PORT = r"([\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}"

PeerAddress = Annotated[
    str, Field(pattern=rf"^((dns:///)?{_HOST_AND_PORT}|ipv[46]:{_HOST_AND_PORT}(,{_HOST_AND_PORT})*)$")
]
"""Where another service listens: `host:port`, or `dns:///name:port` for a name that has all of its replicas; or each of
them by its address, as gRPC writes it: `ipv4:host:port,host:port`."""

PARTITIONS_MAXIMUM = 1024
"""More partitions than this cannot be; their numbers end one below."""


_SCHEMES = {
    "mongo_url": ("mongodb", "mongodb+srv"),
    "amqp_url": ("amqp", "amqps"),
    "redis_url": ("redis", "rediss"),
}


class ConfigError(Exception):
    """Expected: the service cannot start as it is configured; one line a problem, naming the environment variable."""


class ServiceConfig(BaseModel):
    """The settings that every service has; the field `foo_bar` comes from the environment variable FOO_BAR."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    insecure_bind_any_address: bool = False
    """Whether `bind_host` may be reachable from elsewhere, although callers have no identity yet."""
    bind_host: str = "127.0.0.1"
    """The address on which gRPC is served."""
    grpc_port: Port
    metrics_port: Port
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """The least grave records that are written."""
    mongo_url: SecretStr = SecretStr("mongodb://127.0.0.1:27017")
    """The store, where a service has one; may hold a password, so it shows in no text."""
    mongo_database: str = Field(default="gridmesh", pattern=r"^[\w-]{1,38}$")
    """The database in it; all services of a mesh have the same."""
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    """The broker, likewise."""
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """The cache, likewise."""
    partitions: int = Field(default=8, ge=1, le=PARTITIONS_MAXIMUM)
    """The gateway's decides where a reading goes; for others it is only what they begin with."""
    shutdown_grace_seconds: float = Field(default=10.0, gt=0, le=300)
    """How long a shutdown may take; who has not finished then is named in the log."""
    connection_age_seconds: float = Field(default=600.0, ge=1, le=86_400)
    """After so long a caller is told to connect again, and so meets the replicas that have come meanwhile."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that share the gRPC port, where a service can be several."""
    so_reuseport: bool = False
    """Whether others may listen on the gRPC port too; set for workers, by their parent."""
    metrics_bind_host: str = ""
    """Where `/metrics` is served; empty is `bind_host`."""
    otel_exporter_otlp_endpoint: str = Field(default="", pattern="^(https?://.+)?$")
    """The collector that traces are exported to, by OTLP over HTTP such as `http://127.0.0.1:4318`; empty: to none."""
    otel_traces_sampler_arg: float = Field(default=0.01, ge=0, le=1)
    """The share of frames that are traced, where the caller has not decided it; only the gateway's matters."""

    @property
    def metrics_host(self) -> str:
        """The address of `/metrics`."""
        return self.metrics_bind_host or self.bind_host

    @field_validator("bind_host", "metrics_bind_host")
    @classmethod
    def _loopback_unless_told(cls, bind_host: str, info: ValidationInfo) -> str:
        if not bind_host or _is_loopback(bind_host) or info.data.get("insecure_bind_any_address"):
            return bind_host
        raise ValueError("is not loopback; until callers have an identity this needs INSECURE_BIND_ANY_ADDRESS=true")

    @field_validator(*_SCHEMES)
    @classmethod
    def _of_the_servers_protocol(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        schemes = _SCHEMES[info.field_name or ""]
        scheme, separator, rest = url.get_secret_value().partition("://")
        if scheme not in schemes or not separator or not rest:
            raise ValueError(f"must begin with {' or '.join(f'{each}://' for each in schemes)} and name a host")
        return url

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """The settings from a mapping such as the process environment; an empty variable counts as absent.

        Raises:
            ConfigError: with one line for each variable that is missing or wrong, never with a value.
        """
        names = {field: field.upper() for field in cls.model_fields}
        given = {field: environ[name].strip() for field, name in names.items() if environ.get(name, "").strip()}
        try:
            return cls.model_validate(given)
        except ValidationError as invalid:
            problems = [_problem(error["loc"], error["msg"]) for error in invalid.errors(include_input=False)]
        raise ConfigError("\n".join(problems))


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]).upper() if location else "configuration"
    return f"{name}: {message.removeprefix('Value error, ')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
