"""The three real servers: they answer, come back when killed, keep what they hold, and share a machine."""

import json
import os
import signal
from pathlib import Path

import aiormq
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from common.localstack import probes
from common.localstack.leftovers import marked_processes
from common.localstack.mesh import Mesh, local_servers
from common.localstack.problem import LocalStackError
from common.localstack.settings import Ports
from tests.integration.localstack.conftest import Eventually


def run_dir_of(mesh: Mesh) -> Path:
    """The folder of a running mesh."""
    return Path(mesh.environment["GRIDMESH_RUN_DIR"])


async def test_all_three_answer_and_say_where_they_are(private: Mesh) -> None:
    """The state file names the same addresses, and processes that live."""
    await probes.amqp(private.amqp_url)
    await probes.mongo(private.mongo_url)
    await probes.redis(private.redis_url)

    state = json.loads((run_dir_of(private) / "state.json").read_text())
    assert state["phase"] == "ready"
    assert state["environment"]["MONGO_URL"] == private.mongo_url
    assert set(state["programs"]) == {"epmd", "rabbitmq", "mongodb", "redis"}
    for name, program in state["programs"].items():
        os.kill(program["pid"], 0)
        assert program["pid"] in marked_processes(run_dir_of(private), name)


async def test_the_broker_keeps_a_confirmed_message_over_kill_9(private: Mesh, eventually: Eventually) -> None:
    """It is started again with its data, on the same address.

    Only the list of its quorum queues is written with a delay of half a second, so the test waits for that file.
    """
    connection = await aiormq.connect(private.amqp_url)
    channel = await connection.channel()
    await channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
    persistent = aiormq.spec.Basic.Properties(delivery_mode=2)
    await channel.basic_publish(b"a reading", routing_key="kept", properties=persistent, mandatory=True)
    await connection.close()
    (queues,) = (run_dir_of(private) / "rabbitmq" / "mnesia").glob("*/quorum/*/names.dets")
    await eventually(lambda: b"kept" in queues.read_bytes())

    await private.keepers["rabbitmq"].kill()
    await private.keepers["rabbitmq"].ready(limit_s=90)

    connection = await aiormq.connect(private.amqp_url)
    channel = await connection.channel()
    kept = await channel.basic_get("kept", no_ack=True, timeout=30)
    await connection.close()
    assert kept.body == b"a reading"


async def test_the_store_keeps_an_acknowledged_write_over_kill_9(private: Mesh) -> None:
    """It is started again with its data, on the same address."""
    async with AsyncMongoClient[dict[str, object]](private.mongo_url) as client:
        await client["localstack"]["readings"].insert_one({"_id": 1, "energy": 5})

    await private.keepers["mongodb"].kill()
    await private.keepers["mongodb"].ready(limit_s=60)

    async with AsyncMongoClient[dict[str, object]](private.mongo_url) as client:
        assert await client["localstack"]["readings"].find_one({"_id": 1}) == {"_id": 1, "energy": 5}


async def test_a_server_killed_from_outside_is_started_again(private: Mesh, eventually: Eventually) -> None:
    """Nobody told the supervisor; the cache comes back empty."""
    keeper = private.keepers["redis"]
    async with Redis.from_url(private.redis_url) as client:
        await client.set("live", "1")
    starts, pid = keeper.start_count, keeper.pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: keeper.start_count > starts and keeper.phase == "ready")

    async with Redis.from_url(private.redis_url) as client:
        assert await client.get("live") is None


async def test_a_taken_port_is_said_in_one_line_before_anything_starts(
    private: Mesh, tmp_path: Path, bare_environ: dict[str, str]
) -> None:
    """A second copy with the ports of the first."""
    taken = int(private.redis_url.rpartition(":")[2].partition("/")[0])
    ports = Ports(**{**vars(Ports.free()), "redis": taken})

    with pytest.raises(LocalStackError) as refused:
        async with local_servers(tmp_path, ports, environ=bare_environ):
            pytest.fail("the start must not succeed")

    assert str(refused.value).startswith(f"Port {taken} (Redis) is taken: ")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "redis").exists()


async def test_a_folder_has_one_mesh_at_a_time(private: Mesh, bare_environ: dict[str, str]) -> None:
    """A second one is told what to do, and the first one is not touched."""
    with pytest.raises(LocalStackError, match=r"A mesh already runs in .* `make down`"):
        async with local_servers(run_dir_of(private), Ports.free(), environ=bare_environ):
            pytest.fail("the start must not succeed")

    await probes.redis(private.redis_url)


async def test_an_address_in_the_environment_wins(private: Mesh, tmp_path: Path) -> None:
    """The server there is used and none of that kind is started."""
    environ = {**os.environ, "AMQP_URL": private.amqp_url, "MONGO_URL": private.mongo_url, "REDIS_URL": ""}

    async with local_servers(tmp_path, Ports.free(), environ=environ) as mesh:
        assert mesh.amqp_url == private.amqp_url
        assert set(mesh.keepers) == {"redis"}
        assert mesh.redis_url != private.redis_url

    assert marked_processes(tmp_path) == []
    await probes.amqp(private.amqp_url)


async def test_an_address_where_nobody_answers_is_named_with_its_variable(
    private: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, without the password that the address holds."""
    monkeypatch.setattr("common.localstack.mesh.ELSEWHERE_LIMIT_S", 0.5)
    nobody = f"redis://user:secret@127.0.0.1:{Ports.free().redis}/0"
    environ = {**os.environ, **private.addresses.environment(), "REDIS_URL": nobody}

    with pytest.raises(LocalStackError) as refused:
        async with local_servers(tmp_path, Ports.free(), environ=environ):
            pytest.fail("the start must not succeed")

    assert str(refused.value).startswith(f"REDIS_URL is set to {nobody.replace('user:secret@', '')}, but")
    assert "\n" not in str(refused.value)
