"""Runs what makes indexes, or exchanges and queues, for a release that is about to come: once, and without serving."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aiormq.exceptions import AMQPError
from pymongo.errors import PyMongoError

from common.config import ConfigError
from common.lifecycle import EXIT_CONFIGURATION, EXIT_FAILURE
from common.mongo import Database, close, open_database

ARGUMENT = "--prepare"
"""The argument by which a service prepares and ends, as in `python -m billing --prepare`."""

# An index over years of readings takes hours, and a service would give the server up long before.
_ANSWER_TIMEOUT_SECONDS = 6 * 3600.0


@asynccontextmanager
async def patient_database(url: str, name: str = "gridmesh") -> AsyncIterator[Database]:
    """A database whose commands have hours; closed in the end."""
    database = open_database(url, name, appname="prepare", answer_timeout_seconds=_ANSWER_TIMEOUT_SECONDS)
    try:
        yield database
    finally:
        close(database)


def run_preparation(prepare: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """The exit code of a preparation: not 0 where a server is away, or has something already and otherwise.

    What is the matter is said on the standard error output, in the words of the server.
    """
    try:
        asyncio.run(prepare())
    except ConfigError as refused:
        sys.stderr.write(f"{refused}\n")
        return EXIT_CONFIGURATION
    except (PyMongoError, AMQPError, OSError, TimeoutError) as failed:
        sys.stderr.write(f"not prepared: {type(failed).__name__}: {failed}\n")
        return EXIT_FAILURE
    return 0
