"""Posts to others over HTTP, and says in few words what came of it."""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from analytics.notifications.allowed_resolver import ForbiddenAddress
from analytics.notifications.notification import Outcome
from analytics.notifications.sender import Answer

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_OK, _REDIRECT, _SERVER_ERROR = 200, 300, 500
# Request Timeout, Too Early, Too Many Requests.
_LATER = {408, 425, 429}


def open_session(tls: ssl.SSLContext, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """A session, to be closed: no proxies, no cookies, no connection kept. None resolves as the machine does."""
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=tls, force_close=True, limit=64)
    return aiohttp.ClientSession(
        connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


async def post(session: aiohttp.ClientSession, url: URL, body: bytes, headers: dict[str, str]) -> Answer:
    """Posts a body; the answer's own body is not read."""
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(_outcome(response.status), response.status)
    except aiohttp.ClientConnectorError as failure:
        is_forbidden = isinstance(failure.os_error, ForbiddenAddress)
        return Answer(Outcome.FORBIDDEN if is_forbidden else Outcome.AWAY)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Answer(Outcome.AWAY)


def _outcome(status: int) -> Outcome:
    if _OK <= status < _REDIRECT:
        return Outcome.TAKEN
    return Outcome.AWAY if status in _LATER or status >= _SERVER_ERROR else Outcome.REFUSED
