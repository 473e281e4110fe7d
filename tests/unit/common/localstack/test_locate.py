"""A missing server program is named together with what to install or to set."""

import sys
from pathlib import Path

import pytest

from common.localstack import locate
from common.localstack.problem import LocalStackError


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with no server program at all."""
    monkeypatch.setattr(locate, "SERVER_FOLDERS", ())
    monkeypatch.setattr(locate, "DEBIAN_RABBITMQ", tmp_path / "none")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(locate, "_valkey", lambda: None)
    return {"PATH": str(tmp_path)}


def program(path: Path, *, says: str = "") -> Path:
    """An executable file that says one thing."""
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_a_missing_broker_says_what_to_install_or_to_set(bare_machine: dict[str, str]) -> None:
    """One line a person can copy."""
    with pytest.raises(LocalStackError) as missing:
        locate.rabbitmq(bare_machine)

    assert "apt-get install -y --no-install-recommends rabbitmq-server" in str(missing.value)
    assert "AMQP_URL" in str(missing.value)
    assert "\n" not in str(missing.value)


def test_a_missing_store_or_cache_says_what_to_set(bare_machine: dict[str, str]) -> None:
    """Both come with the set-up, so that is named first."""
    with pytest.raises(LocalStackError, match=r"make setup.*MONGO_URL"):
        locate.secantusd()
    with pytest.raises(LocalStackError, match=r"make setup.*REDIS_URL"):
        locate.redis_server(bare_machine)


def test_debians_wrapper_is_not_taken_for_the_broker(bare_machine: dict[str, str], tmp_path: Path) -> None:
    """It would switch the user and use the folders of the system."""
    wrapper = program(tmp_path / "rabbitmq-script-wrapper")
    (tmp_path / "rabbitmq-server").symlink_to(wrapper)

    assert locate.find_rabbitmq(bare_machine) is None


def test_programs_on_the_path_are_found(bare_machine: dict[str, str], tmp_path: Path) -> None:
    """A server that is installed is preferred to the one of the set-up."""
    broker = program(tmp_path / "rabbitmq-server")
    cache = program(tmp_path / "redis-server", says="Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0")

    assert locate.rabbitmq(bare_machine) == broker
    assert locate.redis_server(bare_machine) == cache


def test_a_redis_that_is_too_old_is_passed_over(bare_machine: dict[str, str], tmp_path: Path) -> None:
    """Then the server of the set-up is used; here there is none, so the line names the version."""
    program(tmp_path / "redis-server", says="Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1")

    with pytest.raises(LocalStackError, match=r"redis-server 6\.2 or newer"):
        locate.redis_server(bare_machine)
