"""What a service shows of itself at `/metrics`, as far as the benchmark needs it."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterable

_TIMEOUT_SECONDS = 5.0


async def scrape(port: int) -> str:
    """The page of the service whose metrics are at this port of this machine.

    Raises:
        OSError: it does not answer.
    """
    return await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/metrics")


def sums(page: str, names: Iterable[str]) -> dict[str, float]:
    """The samples of some names, summed over their labels; a name that the page does not have is absent."""
    wanted = set(names)
    found: dict[str, float] = {}
    for line in page.splitlines():
        name = line[: min(place for place in (line.find("{"), line.find(" "), len(line)) if place >= 0)]
        if name in wanted:
            # A sample is its name, labels in braces, and the value.
            found[name] = found.get(name, 0.0) + float(line[line.rfind("}") + 1 :].split()[-1])
    return found


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - a loopback address of ours
        page: bytes = response.read()
    return page.decode()
