"""Certificates inside a secret: when they end. Only what is public of them is kept."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import PermanentError

PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s.+?\s-----END CERTIFICATE-----", re.DOTALL)


class Certificate(BaseModel):
    """One X.509 certificate: RFC 5280's subject, serial number and validity."""

    model_config = ConfigDict(frozen=True)

    subject: str
    serial: str
    valid_from: datetime
    expires_at: datetime


def read_certificates(text: str) -> tuple[Certificate, ...]:
    """The certificates in PEM (RFC 7468) that a secret's text holds, also as values of its JSON; in their order.

    PermanentError, without a word of the text, where one is broken.
    """
    return tuple(_parse(block) for part in _list_texts(text) for block in PEM.findall(part))


def find_expiry(certificates: tuple[Certificate, ...]) -> datetime | None:
    """When the first of them ends: a chain is worth nothing after that. None where there is none."""
    return min((certificate.expires_at for certificate in certificates), default=None)


def _list_texts(text: str) -> Iterator[str]:
    """The text itself, or every text in its JSON: there a line feed is written as two signs."""
    try:
        yield from _walk(json.loads(text))
    except ValueError:
        yield text


def _walk(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _walk(each)
        case list():
            for each in value:
                yield from _walk(each)


def _parse(block: str) -> Certificate:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        found = load_pem_x509_certificate(block.encode())
    except ValueError:
        raise PermanentError(
            "A secret holds a certificate that cannot be read.", "Write it again, whole and in PEM."
        ) from None
    return Certificate(
        subject=found.subject.rfc4514_string(),
        serial=f"{found.serial_number:x}",
        valid_from=found.not_valid_before_utc,
        expires_at=found.not_valid_after_utc,
    )
