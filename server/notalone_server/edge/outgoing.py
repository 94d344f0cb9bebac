"""How a service asks another over HTTP: what it trusts, and that nothing around it changes where requests go.

Owns the client's construction. Refuses to know what is asked.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from notalone_crypto.errors import Code, Fault, Misuse


def open_client(
    address: str,
    timeout: httpx.Timeout,
    authority: Path | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client for one address, without redirects, proxies or anything else from the environment.

    `authority`: certificates (PEM) to trust instead of the public authorities'; who names its own
    trusts nobody else's.
    Raises: Misuse (the operator's fault) for a file without certificates.
    """
    return httpx.Client(
        base_url=address,
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        verify=True if authority is None else _trusting(authority),
        transport=transport,
    )


def _trusting(authority: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise Misuse(Code.MISUSE, f"{authority} holds no certificate", fault=Fault.OPERATOR) from error
