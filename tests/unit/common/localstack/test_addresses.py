"""The addresses that services are given."""

from pathlib import Path

from common.localstack.addresses import ServerAddresses, service_addresses, without_password
from common.localstack.settings import LocalSettings, Ports


def settings_for(environ: dict[str, str]) -> LocalSettings:
    """The settings of instance 0 in an environment."""
    return LocalSettings.from_mapping(environ, root=Path("/checkout"))


def test_private_servers_are_addressed_on_loopback() -> None:
    """Each address carries the port of the settings."""
    variables = ServerAddresses.of(settings_for({})).environment()

    assert variables == {
        "AMQP_URL": "amqp://guest:guest@127.0.0.1:25671/",
        "MONGO_URL": "mongodb://127.0.0.1:27117/?directConnection=true&retryWrites=false",
        "REDIS_URL": "redis://127.0.0.1:26479/0",
    }


def test_an_address_in_the_environment_wins() -> None:
    """It is passed on as it is, and the others stay private."""
    addresses = ServerAddresses.of(settings_for({"REDIS_URL": "rediss://user:secret@cache:6380/2"}))

    assert addresses.redis_url == "rediss://user:secret@cache:6380/2"
    assert addresses.amqp_url == "amqp://guest:guest@127.0.0.1:25671/"


def test_a_flush_at_every_commit_makes_writes_wait_for_the_journal() -> None:
    """So that mongod, which has no flag for it, gives the same promise."""
    addresses = ServerAddresses.of(settings_for({"GRIDMESH_SYNC_ON_COMMIT": "1"}))

    assert addresses.mongo_url.endswith("&journal=true")


def test_services_find_each_other_by_host_and_port() -> None:
    """The variables are those that the services read."""
    assert service_addresses(Ports.of_instance(1)) == {
        "GATEWAY_ADDRESS": "127.0.0.1:50151",
        "INGESTION_ADDRESS": "127.0.0.1:50152",
        "BILLING_ADDRESS": "127.0.0.1:50153",
        "ANALYTICS_ADDRESS": "127.0.0.1:50154",
    }


def test_an_address_is_shown_without_its_password() -> None:
    """Neither user nor password reaches a terminal."""
    assert without_password("amqp://user:se@cret@broker:5672/vhost") == "amqp://broker:5672/vhost"
    assert without_password("127.0.0.1:50051") == "127.0.0.1:50051"
