"""Starts the gateway: `python -m gateway`, settings from the environment."""

from __future__ import annotations

import asyncio
import os
import sys

from common.workers import run_workers
from gateway.app import run
from gateway.config import GatewayConfig


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(GatewayConfig.load(os.environ), stop)


if __name__ == "__main__":
    sys.exit(run_workers("gateway", GatewayConfig, main, sys.argv[1:], os.environ))
