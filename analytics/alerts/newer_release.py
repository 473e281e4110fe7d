"""Documents that a newer release wrote with words that this one does not know, as after a rollback: left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from common.logs import get_logger

Read = TypeVar("Read")

_log = get_logger(__name__)


def known(read: Callable[[Mapping[str, Any]], Read], document: Mapping[str, Any], collection: str) -> Read | None:
    """What a document says; None where it has a word that this release does not know, which is logged once."""
    try:
        return read(document)
    except ValueError as unknown:
        _log_once(collection, str(unknown))
        return None


# Such a document is met at every look.
@lru_cache(maxsize=1000)
def _log_once(collection: str, cause: str) -> None:
    _log.warning("newer_document_left_alone", collection=collection, cause=cause)
