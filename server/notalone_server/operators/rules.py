"""Rules of a scope in plain words, and the file that everybody hashes.

Owns the names an operator writes (TOML) and the sentences she reads. Refuses to
decide what may be in force: that is the message's own check and, in the end,
the trustees' operators.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from notalone_crypto.errors import Code, Fault, MalformedInput, Misuse, NotAloneError
from notalone_crypto.messages.committee import Desk, Organisation, ReleaseMode, ScopePolicy
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol.identify import SlotKind

_SLOTS: Final = {
    "work identity": SlotKind.WORK_IDENTITY,
    "telephone": SlotKind.PHONE,
    "account": SlotKind.ACCOUNT,
    "former account": SlotKind.FORMER_ACCOUNT,
}
_MODES: Final = {"desk": ReleaseMode.COUNSELLOR, "one another": ReleaseMode.PEERS}
_SLOT_NAMES: Final = {int(kind): name for name, kind in _SLOTS.items()}
_MODE_NAMES: Final = {int(mode): name for name, mode in _MODES.items()}
_SHORT: Final = 4
_GROUP: Final = 4

TEMPLATE: Final = """\
# The rules of one scope. `notalone policy make` checks them and writes the file that is in force once
# trustees have approved it. Whatever changes later needs a higher version, and the same approval again.
instance = "example"            # as in the ceremony, to the letter
scope = "university"
version = 1
levels = [2, 3]                 # "tell me when 2, 3 (or 4) of us ..."
slots = ["work identity", "telephone", "account", "former account"]
opens_to = ["desk", "one another"]
region = "FR"                   # of telephone numbers without a country
quota = 12                      # reports of one member in a period, edits included
period_days = 365
maximum_weeks = 104             # a report is kept so long at most
release_blobs = 64              # of each trustee in each batch, so that a match cannot be counted
batch_seconds = 3600            # at least this long between two batches

[[organisation]]
name = "University"
issuer_key = ""                 # 64 digits, printed by `notalone issuer init`

[[desk]]
name = "Counsellors"
key = ""                        # 64 digits, printed by `notalone desk keys` on the desk's own machine
"""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(ge=1, le=0xFFFF)]
_CONFIG: Final = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Organisation(BaseModel):
    model_config = _CONFIG
    name: Name
    issuer_key: Key


class _Desk(BaseModel):
    model_config = _CONFIG
    name: Name
    key: Key


class Rules(BaseModel):
    """See TEMPLATE."""

    model_config = _CONFIG

    instance: Name
    scope: Name
    version: Annotated[int, Field(ge=1, lt=1 << 32)]
    levels: list[Literal[2, 3, 4]]
    slots: list[Literal["work identity", "telephone", "account", "former account"]]
    opens_to: list[Literal["desk", "one another"]]
    region: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    quota: Positive
    period_days: Positive
    maximum_weeks: Positive
    release_blobs: Positive
    batch_seconds: Annotated[int, Field(ge=1, lt=1 << 32)]
    organisation: list[_Organisation]
    desk: list[_Desk]

    def policy(self) -> ScopePolicy:
        """The message. Raises MalformedInput for what no rules may say."""
        _differ("organisation", [one.name for one in self.organisation])
        _differ("organisation", [one.issuer_key for one in self.organisation])
        _differ("desk", [one.name for one in self.desk])
        _differ("desk", [one.key for one in self.desk])
        return ScopePolicy(
            instance=self.instance,
            scope_name=self.scope,
            organisations=tuple(
                Organisation(one.name, signing.check_verify_key(bytes.fromhex(one.issuer_key)))
                for one in self.organisation
            ),
            slots=tuple(int(_SLOTS[one]) for one in self.slots),
            levels=tuple(self.levels),
            release_modes=tuple(int(_MODES[one]) for one in self.opens_to),
            desks=tuple(Desk(one.name, hpke.check_public(bytes.fromhex(one.key))) for one in self.desk),
            default_region=self.region,
            quota=self.quota,
            period_days=self.period_days,
            maximum_weeks=self.maximum_weeks,
            release_blobs=self.release_blobs,
            batch_seconds=self.batch_seconds,
            version=self.version,
        )


def read_rules(path: Path) -> ScopePolicy:
    """The policy that a file in plain words asks for.

    Raises: Misuse (the operator's fault), with the names of what is wrong.
    """
    try:
        return Rules(**tomllib.loads(path.read_text("utf-8"))).policy()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise _operator(f"{path}: {wrong}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _operator(f"{path} cannot be read as TOML: {error}") from error
    except NotAloneError as error:
        raise Misuse(error.code, f"{path}: {error.detail}", fault=Fault.OPERATOR) from error


def read_policy(path: Path) -> ScopePolicy:
    """A policy's file. Raises Misuse (the operator's fault)."""
    try:
        return ScopePolicy.decode(path.read_bytes())
    except OSError as error:
        raise _operator(f"cannot read {path}") from error
    except NotAloneError as error:
        raise Misuse(error.code, f"{path} holds no rules: {error.detail}", fault=Fault.OPERATOR) from error


def summary(policy: ScopePolicy) -> tuple[str, ...]:
    """The rules in sentences, with their fingerprint."""
    slots = ", ".join(_SLOT_NAMES.get(one, f"kind {one}") for one in policy.slots)
    modes = " or ".join(_MODE_NAMES.get(one, f"mode {one}") for one in policy.release_modes)
    text = policy.fingerprint.hex()
    grouped = [text[start : start + _GROUP] for start in range(0, len(text), _GROUP)]
    return (
        f"Scope         {policy.scope_name} of {policy.instance}, version {policy.version}",
        *(f"Organisation  {one.name}: issuer key {one.issuer_key.hex()}" for one in policy.organisations),
        *(f"Desk          {one.name}: key {one.key.hex()}" for one in policy.desks),
        f"Compared      {slots}; telephone numbers of {policy.default_region} without a country",
        f"Levels        reporters choose {', '.join(map(str, policy.levels))}",
        f"Opens to      {modes}",
        f"Quota         {policy.quota} reports of one member in {policy.period_days} days, edits included",
        f"Kept          {policy.maximum_weeks} weeks at most",
        f"Batches       {policy.batch_seconds} seconds apart at least",
        f"Blobs         {policy.release_blobs} of each trustee in each batch",
        f"Fingerprint   {' '.join(grouped)}",
        f"Short form    {' '.join(grouped[:_SHORT])}  (to recognise it; approve the whole one)",
        f'For clients   scope = "{policy.scope.hex()}"',
    )


def _differ(what: str, values: list[str]) -> None:
    if len(set(values)) != len(values):
        raise MalformedInput(Code.POLICY, f"two entries [[{what}]] share a name or a key")


def _operator(detail: str) -> Misuse:
    return Misuse(Code.MISUSE, detail, fault=Fault.OPERATOR)
