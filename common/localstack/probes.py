"""Asks a server or a service once whether it answers; each probe raises NotReady when it does not."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import aiormq
import grpc
import redis.asyncio as redis_driver
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from common.localstack.problem import NotReady

PROBE_LIMIT_S = 5.0
AMQP_PORTS = {"amqp": 5672, "amqps": 5671}
REPLICA_SET = "gridmesh"
REPLICA_SET_NOT_INITIATED = 94


async def tcp(host: str, port: int) -> None:
    """Opens and closes a connection."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise NotReady(f"nothing listens on {host}:{port}") from error
    writer.close()
    await writer.wait_closed()


async def http(host: str, port: int, path: str) -> None:
    """Asks for a page that answers 200 once its server is ready."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        status = (await reader.readline()).decode(errors="replace").strip()
        writer.close()
        await writer.wait_closed()
    except OSError as error:
        raise NotReady(f"nothing answers on {host}:{port}") from error
    if " 200 " not in f"{status} ":
        raise NotReady(f"{path} answers {status or 'nothing'}")


async def amqp(url: str) -> None:
    """Does the AMQP handshake."""
    parts = urlsplit(url)
    # The driver logs every refused connection, and while a broker starts there are many.
    await tcp(parts.hostname or "localhost", parts.port or AMQP_PORTS.get(parts.scheme, AMQP_PORTS["amqp"]))
    try:
        connection = await aiormq.connect(url)
    except (aiormq.exceptions.AMQPError, OSError) as error:
        raise NotReady(f"no AMQP handshake ({type(error).__name__})") from error
    await connection.close()


async def mongo(url: str, *, initiate: bool = False) -> None:
    """Pings; with `initiate` also makes a fresh mongod a replica set of one and waits until it accepts writes."""
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(
        url, serverSelectionTimeoutMS=int(PROBE_LIMIT_S * 1000), connectTimeoutMS=int(PROBE_LIMIT_S * 1000)
    )
    try:
        await client.admin.command("ping")
        if initiate:
            await _initiate(client, urlsplit(url).netloc)
    except PyMongoError as error:
        raise NotReady(f"no answer to ping ({type(error).__name__})") from error
    finally:
        await client.close()


async def _initiate(client: AsyncMongoClient[dict[str, object]], member: str) -> None:
    try:
        await client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code != REPLICA_SET_NOT_INITIATED:
            raise
        await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]})
    hello = await client.admin.command("hello")
    if not hello.get("isWritablePrimary"):
        raise NotReady("the replica set has no primary yet")


async def redis(url: str) -> None:
    """Sends PING."""
    client = redis_driver.Redis.from_url(url, socket_connect_timeout=PROBE_LIMIT_S, socket_timeout=PROBE_LIMIT_S)
    try:
        await client.ping()
    except (redis_driver.RedisError, OSError) as error:
        raise NotReady(f"no answer to PING ({type(error).__name__})") from error
    finally:
        await client.aclose()


async def grpc_health(address: str) -> None:
    """Asks the gRPC health service of the whole server (the empty name) for SERVING."""
    # A proxy of the environment must not stand between two processes of one machine.
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        # The typed stubs leave out the methods, which grpc adds when the object is made.
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=PROBE_LIMIT_S)
        except grpc.aio.AioRpcError as error:
            raise NotReady(f"no answer to the health check ({error.code().name})") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise NotReady(f"its health is {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")
