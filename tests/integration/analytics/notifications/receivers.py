"""A mail server and an HTTP receiver, real ones with certificates of their own, for those who send."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

LOOPBACK = "127.0.0.1"


@dataclass
class Mailbox:
    """What a mail server was handed; `answer` may refuse, or not come at all (`is_cut`)."""

    port: int = 0
    mails: list[Envelope] = field(default_factory=list)
    answer: Callable[[], str] = lambda: "250 taken"
    is_cut: bool = False

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - so the server calls it
        """A mail is here."""
        self.mails.append(envelope)
        if self.is_cut:
            server.transport.abort()
        return self.answer()


@dataclass
class Calls:
    """What an HTTP receiver was told; it gives the statuses in turn, then 204."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """A call is here."""
        self.bodies.append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"location": "https://127.0.0.1:1/"})


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """What a server on loopback shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK, "localhost").configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """Trusts the authority and no other."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def mail_server(context: ssl.SSLContext | None) -> AsyncIterator[Mailbox]:
    """Takes mails on loopback; with a context only those that come encrypted."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(mailbox, tls_context=context, require_starttls=context is not None, loop=loop)

    server = await loop.create_server(session, LOOPBACK, 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


@asynccontextmanager
async def http_receiver(context: ssl.SSLContext) -> AsyncIterator[Calls]:
    """Takes calls on loopback, over TLS."""
    calls = Calls()
    application = web.Application()
    application.router.add_post("/hook", calls.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=context)
    await site.start()
    calls.url = f"https://localhost:{runner.addresses[0][1]}/hook"
    try:
        yield calls
    finally:
        await runner.cleanup()
