"""How a long answer is cut into pages: opaque keyset tokens that are bound to the filters they were made for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from common.errors import FieldViolation, InvalidArgument, PageTokenInvalid

_LONGEST_TOKEN = 4096


def page_size(requested: int, *, default: int, maximum: int) -> int:
    """How many items a page gets: 0 means the default, too many is the maximum.

    Raises:
        InvalidArgument: the number is negative.
    """
    if requested < 0:
        raise InvalidArgument([FieldViolation("page_size", "OUT_OF_RANGE", "must not be negative")])
    return min(requested or default, maximum)


def encode_token(last_key: Mapping[str, Any], filters: Mapping[str, Any]) -> str:
    """The token of the page after `last_key`; both mappings hold only what JSON can say (instants as integers)."""
    payload = json.dumps({"k": dict(last_key), "f": _digest(filters)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()


def decode_token(token: str, filters: Mapping[str, Any], *, field: str = "page_token") -> dict[str, Any] | None:
    """The last key of the page before, or None for the empty token of a first page; `field` is where the token stood.

    The content is the caller's word: check the types of what you take from it.

    Raises:
        PageTokenInvalid: not one of our tokens, or made for other filters.
    """
    if not token:
        return None
    if len(token) > _LONGEST_TOKEN:
        raise PageTokenInvalid(field)
    try:
        payload = json.loads(base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise PageTokenInvalid(field) from None
    if not isinstance(payload, dict) or payload.get("f") != _digest(filters):
        raise PageTokenInvalid(field)
    last_key = payload.get("k")
    if not isinstance(last_key, dict):
        raise PageTokenInvalid(field)
    return last_key


def _digest(filters: Mapping[str, Any]) -> str:
    canonical = json.dumps(filters, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()
