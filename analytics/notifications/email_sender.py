"""Sends mails by a mail server (SMTP, RFC 5321): encrypted, unless it was asked not to be by name."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from analytics.notifications.notification import Delivery, Outcome
from analytics.notifications.preferences import Route
from analytics.notifications.sender import Answer, HandOver
from common.instants import datetime_from_ms

_TIMEOUT_SECONDS = 10.0
_PERMANENT = 500


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed in, and in whose name; `tls` None sends in the clear."""

    host: str
    port: int
    sender_address: str
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    is_tls_implicit: bool = False


class EmailSender:
    """Sends mails.

    A mail server may or may not know a mail again by its Message-ID, so one whose fate is unknown is not sent again.
    """

    is_repeatable = False

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def send(self, delivery: Delivery, route: Route, hand_over: HandOver) -> Answer:
        """Sends a mail to the address of the route."""
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            tls_context=server.tls,
            use_tls=server.tls is not None and server.is_tls_implicit,
            # Never by chance: a server that does not offer it gets no mail and no password.
            start_tls=server.tls is not None and not server.is_tls_implicit,
            timeout=_TIMEOUT_SECONDS,
        )
        mail = mail_of(delivery, route.address, server.sender_address)
        is_handed_over = False
        try:
            async with client:
                await client.mail(server.sender_address)
                await client.rcpt(route.address)
                await hand_over()
                is_handed_over = True
                response = await client.data(mail.as_bytes())
                # What it says after this changes nothing.
                return Answer(Outcome.TAKEN, response.code)
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientRefused) as refused:
            return Answer(Outcome.REFUSED if refused.code >= _PERMANENT else Outcome.AWAY, refused.code)
        except (aiosmtplib.SMTPException, OSError):
            return Answer(Outcome.LOST if is_handed_over else Outcome.AWAY)


def mail_of(delivery: Delivery, to_address: str, from_address: str) -> EmailMessage:
    """The mail that tells what a delivery carries; the same each time."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = from_address
    mail["To"] = to_address
    mail["Subject"] = delivery.wording.title
    mail["Date"] = format_datetime(datetime_from_ms(delivery.create_ms))
    mail["Message-ID"] = f"<{delivery.delivery_id}@{from_address.rpartition('@')[2]}>"
    # So that no absence notice answers it (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(delivery.wording.text)
    return mail
