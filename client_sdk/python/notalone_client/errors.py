"""What can go wrong between a device and a service.

Owns failures of transport and answers. Refuses failures of messages: those are
`notalone_crypto.errors.NotAloneError` and pass through unchanged. No text here
holds what was sent.
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of this package's errors; catch it together with `NotAloneError`."""


class Unavailable(ClientError):
    """No answer, or a service that cannot answer now. The same call again is always safe."""


class Refused(ClientError):
    """The service refused: `status`, its problem `type` and, where it tells, a stable `code`."""

    def __init__(self, status: int, problem: str, code: str = "") -> None:
        super().__init__(f"{problem} ({status})" + (f": {code}" if code else ""))
        self.status = status
        self.problem = problem
        self.code = code


class OtherVersion(Refused):
    """The service speaks another version of the interface: it or this program needs an update first."""


class SealAgain(Refused):
    """The report was sealed for a time that is over: seal it again. Nothing was spent."""


class RollMoved(SealAgain):
    """Somebody joined since the report was sealed."""


class DateRefused(SealAgain):
    """The service's date is another: a quota period ended since the report was sealed, or a clock is wrong.

    If sealing again does not help, this device's clock is to be set right first.
    """


class RulesChanged(Refused):
    """The scope's rules are others than those this report was sealed under. Nothing was spent.

    She may want to read the new ones before she seals again, with a client begun anew: whom a report
    opens to is part of them.
    """


class UnexpectedAnswer(ClientError):
    """An answer that no honest service gives: too large, of another type or shape."""


class WrongPhrase(ClientError):
    """These are not twelve words of one list, or one of them is mistyped."""


class NotSafe(ClientError):
    """An address without TLS that is not on this machine."""
