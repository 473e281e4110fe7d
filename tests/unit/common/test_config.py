"""Configuration: one value from a mapping, every problem at once, no secret told."""

from __future__ import annotations

import pytest

from common.config import ConfigError, PeerAddress, Port, ServiceConfig


class _GatewayConfig(ServiceConfig):
    grpc_port: Port = 50051
    metrics_port: Port = 9101
    ingestion_address: PeerAddress


_LEAST = {"INGESTION_ADDRESS": "127.0.0.1:50052"}


def test_an_empty_environment_gives_the_defaults() -> None:
    """What a bare machine needs is the default."""
    config = _GatewayConfig.load(_LEAST)

    assert config.bind_host == "127.0.0.1"
    assert config.grpc_port == 50051
    assert config.partitions == 8
    assert config.ingestion_address == "127.0.0.1:50052"


def test_a_field_comes_from_the_variable_with_its_name() -> None:
    """FOO_BAR for foo_bar, converted to the type of the field; empty counts as absent, others are ignored."""
    config = _GatewayConfig.load(
        {**_LEAST, "GRPC_PORT": "60001", "PARTITIONS": "", "LOG_LEVEL": " debug ", "HOME": "/"}
    )

    assert config.grpc_port == 60001
    assert config.partitions == 8
    assert config.log_level == "debug"


def test_all_problems_are_reported_together_one_line_each() -> None:
    """Each line begins with the environment variable to set."""
    with pytest.raises(ConfigError) as refused:
        _GatewayConfig.load({"GRPC_PORT": "70000", "PARTITIONS": "0", "LOG_LEVEL": "loud"})

    names = [line.split(":")[0] for line in str(refused.value).splitlines()]
    assert sorted(names) == ["GRPC_PORT", "INGESTION_ADDRESS", "LOG_LEVEL", "PARTITIONS"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "gateway.example"])  # noqa: S104 - refused is the point
def test_an_address_beyond_loopback_is_refused_unless_told(host: str) -> None:
    """The refusal names the setting that allows it."""
    with pytest.raises(ConfigError, match=r"^BIND_HOST: .*INSECURE_BIND_ANY_ADDRESS=true$"):
        _GatewayConfig.load({**_LEAST, "BIND_HOST": host})

    allowed = _GatewayConfig.load({**_LEAST, "BIND_HOST": host, "INSECURE_BIND_ANY_ADDRESS": "true"})
    assert allowed.bind_host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_every_loopback_address_is_fine(host: str) -> None:
    """IPv4, IPv6 and by name."""
    assert _GatewayConfig.load({**_LEAST, "BIND_HOST": host}).bind_host == host


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("MONGO_URL", "u:hunter2@store:27017"),
        ("AMQP_URL", "http://u:hunter2@broker:15672/"),
        ("REDIS_URL", "hunter2@redis:6379"),
        ("MONGO_DATABASE", "hunter2/gridmesh"),
    ],
)
def test_an_address_of_another_protocol_is_refused_by_its_variable(variable: str, wrong: str) -> None:
    """At the start, not as a failure of the first command; and what was given is not told."""
    with pytest.raises(ConfigError, match=rf"^{variable}: ") as refused:
        _GatewayConfig.load({**_LEAST, variable: wrong})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["ingestion:50052", "dns:///ingestion.gridmesh:50052", "[::1]:50052", "ipv4:10.0.0.1:1,10.0.0.2:2", "ipv6:[::1]:1"],
)
def test_a_peer_is_named_with_its_port(address: str) -> None:
    """A host, a name that has all replicas, or an address of either kind."""
    assert _GatewayConfig.load({"INGESTION_ADDRESS": address}).ingestion_address == address


@pytest.mark.parametrize(
    "address", ["ingestion", "http://ingestion:50052", "ingestion:port", ":50052", "ipv4:10.0.0.1"]
)
def test_a_peer_without_a_port_or_with_a_scheme_is_refused(address: str) -> None:
    """Which would otherwise be tried for ever."""
    with pytest.raises(ConfigError, match=r"^INGESTION_ADDRESS: "):
        _GatewayConfig.load({"INGESTION_ADDRESS": address})


def test_a_secret_shows_in_no_text() -> None:
    """Neither in the repr of the value nor in the report of a problem."""
    environ = {**_LEAST, "AMQP_URL": "amqp://u:hunter2@broker/"}

    config = _GatewayConfig.load(environ)
    with pytest.raises(ConfigError) as refused:
        _GatewayConfig.load({**environ, "PARTITIONS": "hunter2"})

    assert "hunter2" not in repr(config) + str(config) + str(refused.value)
    assert config.amqp_url.get_secret_value() == "amqp://u:hunter2@broker/"


def test_a_loaded_value_cannot_be_changed() -> None:
    """The configuration is what it was at the start."""
    config = _GatewayConfig.load(_LEAST)

    with pytest.raises(ValueError, match="frozen"):
        config.grpc_port = 1
