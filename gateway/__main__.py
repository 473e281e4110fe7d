"""Starts the gateway: `python -m gateway`, settings from the environment; `--prepare` only makes what it needs."""

from __future__ import annotations

import asyncio
import os
import sys

from common.preparation import ARGUMENT, run_preparation
from common.workers import run_workers
from gateway.app import run
from gateway.config import GatewayConfig
from gateway.prepare import prepare


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(GatewayConfig.load(os.environ), stop)


async def prepare_alone() -> None:
    """Makes what the servers have to have for it, and serves nobody."""
    await prepare(GatewayConfig.load(os.environ))


if __name__ == "__main__":
    if sys.argv[1:] == [ARGUMENT]:
        sys.exit(run_preparation(prepare_alone))
    sys.exit(run_workers("gateway", GatewayConfig, main, sys.argv[1:], os.environ))
