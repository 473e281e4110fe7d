"""Mails, webhooks and text messages reach real receivers, encrypted, and what these say is understood."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from analytics.notifications.allowed_networks import networks_of
from analytics.notifications.allowed_resolver import AllowedResolver
from analytics.notifications.email_sender import EmailSender, MailServer
from analytics.notifications.file_outbox import FileOutbox
from analytics.notifications.http_post import open_session
from analytics.notifications.notification import Outcome
from analytics.notifications.sender import Answer, NotOurs
from analytics.notifications.sms_sender import SmsSender
from analytics.notifications.webhook_message import secret_bytes, webhook_headers
from analytics.notifications.webhook_sender import WebhookSender
from tests.integration.analytics.notifications.receivers import (
    LOOPBACK,
    Calls,
    Mailbox,
    client_context,
    http_receiver,
    mail_server,
    server_context,
)
from tests.unit.analytics.notifications.notices import HOOK, MAIL, PHONE, SECRET, START_MS, a_delivery

NOW_MS = START_MS + 5_000
LOOPBACK_NETWORKS = "127.0.0.0/8, ::1/128"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the receivers of this module."""
    return trustme.CA()


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox(authority: trustme.CA) -> AsyncIterator[Mailbox]:
    """A mail server that wants TLS."""
    async with mail_server(server_context(authority)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def calls(authority: trustme.CA) -> AsyncIterator[Calls]:
    """An HTTP receiver."""
    async with http_receiver(server_context(authority)) as opened:
        yield opened


async def ours() -> None:
    """It is ours to send."""


async def not_ours() -> None:
    """It is another's to send."""
    raise NotOurs


def mail_sender(mailbox: Mailbox, authority: trustme.CA) -> EmailSender:
    """Hands mails in at the mail server."""
    return EmailSender(MailServer(LOOPBACK, mailbox.port, "mesh@example.net", tls=client_context(authority)))


async def called(calls: Calls, authority: trustme.CA, allowed: str = LOOPBACK_NETWORKS, url: str = "") -> Answer:
    """What comes of calling a webhook from where some networks are allowed."""
    networks = networks_of(allowed)
    route = replace(HOOK, address=url or calls.url)
    async with open_session(client_context(authority), AllowedResolver(networks)) as session:
        sender = WebhookSender(session, networks, now_ms=lambda: NOW_MS)
        return await sender.send(a_delivery(route), route, ours)


async def test_a_mail_arrives_encrypted_and_whole(mailbox: Mailbox, authority: trustme.CA) -> None:
    """As it was written, umlauts and degrees included."""
    delivery = a_delivery()

    answer = await mail_sender(mailbox, authority).send(delivery, MAIL, ours)

    assert answer == Answer(Outcome.TAKEN, 250)
    (envelope,) = mailbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("mesh@example.net", ["jo@example.org"])
    content = envelope.original_content
    assert content is not None
    mail = message_from_bytes(content, policy=default)
    assert mail["Subject"] == "[CRITICAL] The battery of device pack-1 has 46.5 °C (limit 45 °C)"
    assert mail.get_content().replace("\r\n", "\n") == delivery.wording.text


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("550 no such user", Answer(Outcome.REFUSED, 550)),
        ("451 try later", Answer(Outcome.AWAY, 451)),
    ],
)
async def test_a_refusal_is_for_good_or_for_now(
    said: str, answer: Answer, mailbox: Mailbox, authority: trustme.CA
) -> None:
    """By the first digit of its code."""
    mailbox.answer = lambda: said

    assert await mail_sender(mailbox, authority).send(a_delivery(), MAIL, ours) == answer


async def test_a_mail_whose_answer_never_came_is_lost_from_sight(mailbox: Mailbox, authority: trustme.CA) -> None:
    """For the server has it."""
    mailbox.is_cut = True

    assert await mail_sender(mailbox, authority).send(a_delivery(), MAIL, ours) == Answer(Outcome.LOST)
    assert len(mailbox.mails) == 1


async def test_a_server_that_is_away_or_shows_a_strange_certificate_gets_no_mail(
    mailbox: Mailbox, authority: trustme.CA
) -> None:
    """Both may be over soon."""
    strange = EmailSender(MailServer(LOOPBACK, mailbox.port, "mesh@example.net", tls=client_context(trustme.CA())))
    nobody = EmailSender(MailServer(LOOPBACK, 1, "mesh@example.net", tls=client_context(authority)))

    assert await strange.send(a_delivery(), MAIL, ours) == Answer(Outcome.AWAY)
    assert await nobody.send(a_delivery(), MAIL, ours) == Answer(Outcome.AWAY)
    assert mailbox.mails == []


async def test_a_server_without_encryption_gets_no_mail_and_no_password(authority: trustme.CA) -> None:
    """Unless that was asked for by name."""
    async with mail_server(None) as plain:
        secure = EmailSender(
            MailServer(LOOPBACK, plain.port, "mesh@example.net", "mesh", "pw", tls=client_context(authority))
        )
        insecure = EmailSender(MailServer(LOOPBACK, plain.port, "mesh@example.net"))

        assert (await secure.send(a_delivery(), MAIL, ours)).outcome is Outcome.AWAY
        assert plain.mails == []
        assert (await insecure.send(a_delivery(), MAIL, ours)).outcome is Outcome.TAKEN


async def test_a_mail_that_is_anothers_to_send_is_not_handed_over(mailbox: Mailbox, authority: trustme.CA) -> None:
    """The look is right before the server gets it."""
    with pytest.raises(NotOurs):
        await mail_sender(mailbox, authority).send(a_delivery(), MAIL, not_ours)

    assert mailbox.mails == []


async def test_a_webhook_gets_what_it_can_verify(calls: Calls, authority: trustme.CA) -> None:
    """The signature is over the id, the time and the very bytes."""
    assert await called(calls, authority) == Answer(Outcome.TAKEN, 204)

    (body,), (headers,) = calls.bodies, calls.headers
    expected = webhook_headers(headers["webhook-id"], body, secret_bytes(SECRET), NOW_MS // 1000)
    assert headers["webhook-signature"] == expected["webhook-signature"]
    assert headers["webhook-timestamp"] == str(NOW_MS // 1000)
    assert headers["webhook-id"] == a_delivery(replace(HOOK, address=calls.url)).delivery_id
    assert json.loads(body)["type"] == "alert.raised"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, Outcome.TAKEN), (301, Outcome.REFUSED), (404, Outcome.REFUSED), (410, Outcome.REFUSED),
     (408, Outcome.AWAY), (429, Outcome.AWAY), (500, Outcome.AWAY), (503, Outcome.AWAY)],
)  # fmt: skip
async def test_a_status_is_taken_for_good_or_for_now(
    status: int, outcome: Outcome, calls: Calls, authority: trustme.CA
) -> None:
    """And nobody is followed to where an answer points."""
    calls.statuses = [status]

    assert await called(calls, authority) == Answer(outcome, status)
    assert len(calls.bodies) == 1


async def test_a_webhook_in_a_private_network_is_not_called(calls: Calls, authority: trustme.CA) -> None:
    """By name, by address, or by an address inside another."""
    port = calls.url.rpartition(":")[2]
    for url in ("", f"https://127.0.0.1:{port}", f"https://[::1]:{port}", f"https://[::ffff:127.0.0.1]:{port}"):
        assert await called(calls, authority, allowed="10.0.0.0/8", url=url) == Answer(Outcome.FORBIDDEN)

    assert calls.bodies == []


async def test_a_webhook_with_a_strange_certificate_or_that_is_away_is_not_told(
    calls: Calls, authority: trustme.CA
) -> None:
    """Both may be over soon."""
    assert await called(calls, trustme.CA()) == Answer(Outcome.AWAY)
    assert await called(calls, authority, url="https://127.0.0.1:1/hook") == Answer(Outcome.AWAY)
    assert calls.bodies == []


async def test_a_text_message_is_handed_to_the_provider(calls: Calls, authority: trustme.CA) -> None:
    """With a token, and an id by which it knows what comes twice."""
    delivery = a_delivery(PHONE)
    async with open_session(client_context(authority)) as session:
        answer = await SmsSender(session, calls.url, "token-1").send(delivery, PHONE, ours)

    assert answer == Answer(Outcome.TAKEN, 204)
    assert json.loads(calls.bodies[0]) == {
        "to": PHONE.address,
        "text": "[CRITICAL] The battery of device pack-1 has 46.5 °C (limit 45 °C)",
        "id": delivery.delivery_id,
    }
    assert calls.headers[0]["authorization"] == "Bearer token-1"
    assert calls.headers[0]["idempotency-key"] == delivery.delivery_id


async def test_without_a_way_a_delivery_is_a_file(tmp_path: Path) -> None:
    """Once, however often it is sent; a mail is one that mail programs open."""
    outbox = FileOutbox(tmp_path / "outbox")
    for _ in range(2):
        for route in (MAIL, HOOK, PHONE):
            assert await outbox.send(a_delivery(route), route, ours) == Answer(Outcome.TAKEN)

    files = {file.name: file for file in (tmp_path / "outbox").iterdir()}
    assert len(files) == 3
    mail = message_from_bytes(files[f"{a_delivery(MAIL).delivery_id}.eml"].read_bytes(), policy=default)
    assert mail["To"] == MAIL.address
    written = json.loads(files[f"{a_delivery(PHONE).delivery_id}.json"].read_text())
    assert (written["channel"], written["to"]) == ("SMS", PHONE.address)


async def test_an_outbox_that_is_full_or_cannot_be_written_is_away(tmp_path: Path) -> None:
    """It fills no disk, and ends nothing."""
    (tmp_path / "file").touch()
    full = FileOutbox(tmp_path, files_maximum=1)

    assert await full.send(a_delivery(), MAIL, ours) == Answer(Outcome.AWAY)
    assert await FileOutbox(tmp_path / "file").send(a_delivery(), MAIL, ours) == Answer(Outcome.AWAY)
