"""A service that is two processes behind one port, started as people start it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Self

from tests.integration.ingestion.running_ingestion import eventually


class Workers:
    """`python -m <service> --workers 2`, what it logs, and its parent's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pids: list[int] = []
        self.address = ""
        self.serving_count = 0
        self.green_count = 0

    @classmethod
    @asynccontextmanager
    async def started(cls, service: str, settings: Mapping[str, str]) -> AsyncIterator[Self]:
        """Two workers, both with an open door, on a port that the parent has chosen."""
        ports = {"GRPC_PORT": "0", "METRICS_PORT": "0"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", service, "--workers", "2"),
            env={**os.environ, **ports, **settings},
            stderr=asyncio.subprocess.PIPE,
        )
        workers = cls(process)
        listening = asyncio.ensure_future(workers.listen())
        try:
            await eventually(lambda: workers.serving_count == 2)
            yield workers
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            # The workers have the other end, and end when their parent has.
            await listening

    async def listen(self) -> None:
        """Reads the log until its end."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            # gRPC's own words are no records.
            if not line.startswith(b"{"):
                continue
            record = json.loads(line)
            if record["event"] == "worker_started":
                self.pids.append(record["pid"])
            if record["event"] == "grpc_server_started":
                self.address = record["address"]
                self.serving_count += 1
            if record["event"] == "health_changed" and record["serving"]:
                self.green_count += 1
