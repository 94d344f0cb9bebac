"""One trustee's way to a ceremony's exchange: a local folder of public messages, kept equal with it.

Owns requests, bounds and what is believed. Refuses whatever its sender did not
sign for this ceremony, and an exchange that shows another message than before:
then the exchange is blamed, never the trustee whose name it used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from notalone_crypto.errors import CeremonyFailed, Code, Fault, Misuse, NotAloneError, StateConflict
from notalone_crypto.randomness import Randomness
from notalone_server.edge.address import check_address
from notalone_server.edge.clock import system_clock
from notalone_server.edge.octets import MEDIA_TYPE
from notalone_server.edge.outgoing import open_client
from notalone_server.edge.rng import system_randomness
from notalone_server.edge.signing import authorization
from notalone_server.trustee import spoken
from notalone_server.trustee.agreement import NAME_BYTES, PARAMETERS, Agreement, read_agreement
from notalone_server.trustee.ceremony import Ceremony
from notalone_server.trustee.exchange import MAX_MESSAGE, ROOT
from notalone_server.trustee.keyfile import replace_file
from notalone_server.trustee.public import ORDER, SIGNATURE, Place

_TIMEOUT: Final = httpx.Timeout(20.0, connect=10.0)
_OTHER: Final = (
    "The exchange shows different messages to different people, or somebody else writes there under a "
    "trustee's name. Keep the folder, tell the other operators, and begin a new ceremony elsewhere"
)


class ExchangeUnreachable(Exception):
    """The exchange did not answer, or not as an exchange does; trying again may help."""


@dataclass(slots=True)
class ExchangeClient:
    """One exchange, over HTTP."""

    address: str
    authority: Path | None = None  # a private certificate authority; the public ones otherwise
    clock: Callable[[], int] = system_clock
    randomness: Randomness = system_randomness
    _client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """One connection pool. Raises Misuse for clear text, or an authority without certificates."""
        self._client = open_client(check_address(self.address), _TIMEOUT, self.authority)

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def fetch_agreement(self, folder: Path, agreed: str) -> Agreement:
        """The agreement in the folder, or from the exchange if its fingerprint is what the operator was told.

        Raises: Misuse, StateConflict (the operator's fault), ExchangeUnreachable.
        """
        if (folder / PARAMETERS).exists():
            agreement = read_agreement(folder)
            if agreed:
                _check_agreed(agreed, agreement)
            return agreement
        if not agreed:
            raise Misuse(
                Code.MISUSE,
                f"there is no {PARAMETERS} in {folder}: give with --agreed the words or digits that "
                "`notalone trustee parameters` showed to whoever wrote the agreement",
                fault=Fault.OPERATOR,
            )
        name = spoken.parse(agreed)[:NAME_BYTES].hex()
        status, body = self._request("GET", f"{ROOT}/{name}/agreement")
        if status != httpx.codes.OK:
            raise ExchangeUnreachable("the exchange knows no ceremony of this fingerprint")
        agreement = Agreement.parse(body)
        _check_agreed(agreed, agreement)
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / PARAMETERS, agreement.document())
        return agreement

    def pull(self, ceremony: Ceremony) -> None:
        """Fetch what is new into the folder, verified to be its sender's.

        Raises: ExchangeUnreachable; CeremonyFailed without culprits when exchange or strangers are to blame.
        """
        for place, digest in self._listing(ceremony):
            if ceremony.public.has(place.name):
                if hashlib.sha256(ceremony.public.read(place.name)).hexdigest() != digest:
                    raise CeremonyFailed(
                        Code.EQUIVOCATION, f"{place.name} at the exchange is not the one here. {_OTHER}"
                    )
            elif place.sender != ceremony.index:
                self._fetch(ceremony, place)
            elif not ceremony.key_file.exists():
                raise CeremonyFailed(
                    Code.DUPLICATE,
                    f"place {ceremony.index} at the exchange is taken, and there is no {ceremony.key_file}: "
                    "a wrong --index or --key-file, or a stranger who knows the agreement took the place. "
                    "In that case begin anew with a new agreement",
                )

    def push(self, ceremony: Ceremony) -> None:
        """Hand over what this trustee made.

        Raises: CeremonyFailed when its place is taken, ExchangeUnreachable.
        """
        own = [place for place in ceremony.public.places() if place.sender == ceremony.index]
        if not own:
            return
        known = dict(self._listing(ceremony))
        for place in own:
            data = ceremony.public.read(place.name)
            if place in known:
                if known[place] != hashlib.sha256(data).hexdigest():
                    raise _another(place)
                continue
            path = f"{ROOT}/{ceremony.agreement.name}/messages/{place.name}"
            header = authorization(
                ceremony.signing_key,
                f"trustee/{ceremony.index}",
                ceremony.agreement.fingerprint,
                "POST",
                path,
                data,
                self.clock(),
                self.randomness,
            )
            status, answer = self._request("POST", path, data, header)
            if status == httpx.codes.CONFLICT and Code.DUPLICATE.value.encode() in answer:
                raise _another(place)
            if status == httpx.codes.UNAUTHORIZED:
                raise ExchangeUnreachable(
                    "the exchange refuses this trustee's requests: is the clock right? Or somebody else took "
                    "its place"
                )
            if status != httpx.codes.NO_CONTENT:
                raise ExchangeUnreachable(f"the exchange does not take {place.name} (now)")

    def _fetch(self, ceremony: Ceremony, place: Place) -> None:
        if place.kind == SIGNATURE and ceremony.public.missing("hashes"):
            return  # what it signs cannot be computed yet
        if place.kind == SIGNATURE:
            ceremony.manifest()  # if that fails, it is not the exchange's fault
        status, data = self._request("GET", f"{ROOT}/{ceremony.agreement.name}/messages/{place.name}")
        if status != httpx.codes.OK:
            raise ExchangeUnreachable(f"the exchange announces {place.name} and does not hand it out")
        try:
            ceremony.public.check_sender(place, data)
        except StateConflict:
            return  # before the keys of its sender: it will come again
        except NotAloneError as error:
            raise CeremonyFailed(
                error.code,
                f"{place.name} from the exchange is not what trustee {place.sender} signed in this ceremony. "
                f"{_OTHER}",
                fault=Fault.BOARD,
            ) from error
        ceremony.public.add(place.name, data)

    def _listing(self, ceremony: Ceremony) -> list[tuple[Place, str]]:
        status, body = self._request("GET", f"{ROOT}/{ceremony.agreement.name}/messages")
        if status != httpx.codes.OK:
            raise ExchangeUnreachable("the exchange does not know this ceremony")
        try:
            document: Any = json.loads(body)["messages"]
            found = [
                (Place.parse(name, ceremony.agreement.parameters.count), str(digest))
                for name, digest in document.items()
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Misuse) as error:
            raise ExchangeUnreachable("something else answers at the exchange's address") from error
        return sorted(found, key=lambda one: (ORDER.index(one[0].kind), one[0].name))

    def _request(self, method: str, path: str, body: bytes = b"", header: str = "") -> tuple[int, bytes]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "notalone"}
        if header:
            headers |= {"Authorization": header, "Content-Type": MEDIA_TYPE}
        try:
            with self._client.stream(method, path, content=body or None, headers=headers) as answer:
                data = bytearray()
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MAX_MESSAGE:
                        raise ExchangeUnreachable("the exchange's answer does not end")
                return answer.status_code, bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ExchangeUnreachable("no connection to the exchange") from error


def _check_agreed(agreed: str, agreement: Agreement) -> None:
    try:
        spoken.check_heard(agreed, agreement.fingerprint)
    except StateConflict as error:
        raise StateConflict(
            Code.PARAMETERS,
            "this is not the agreement whose words or digits you were told: ask who wrote it",
            fault=Fault.OPERATOR,
        ) from error


def _another(place: Place) -> CeremonyFailed:
    return CeremonyFailed(
        Code.EQUIVOCATION, f"the exchange holds another {place.name} than this trustee's. {_OTHER}"
    )
