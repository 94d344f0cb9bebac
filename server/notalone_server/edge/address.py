"""Addresses that a service may call. Owns the rule that nothing leaves this machine in clear text."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from notalone_crypto.errors import Code, Fault, Misuse


def check_address(value: str) -> str:
    """Scheme, host and port of a service, without a path.

    Onion services may go without TLS: their transport is encrypted to the service's own key.
    Raises: Misuse (the operator's fault).
    """
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused("an address such as https://board.example, without a path") from error
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or parts.username
    ):
        raise _refused("an address such as https://board.example, without a path")
    if parts.scheme == "http" and not (host.endswith(".onion") or is_loopback(host)):
        raise _refused("http is for this machine and onion services only; use https")
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(detail: str) -> Misuse:
    return Misuse(Code.MISUSE, detail, fault=Fault.OPERATOR)
