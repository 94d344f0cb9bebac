"""The key ceremony: one trustee's secret part, over a folder of everybody's public messages.

Owns the order of the steps and what each one verifies. Refuses to know how the
messages travel (copied folders, or an exchange): whoever carries them can stop the ceremony and be
seen, nothing else, for every file is signed and operators compare the
manifest's fingerprint aloud before they sign it. Every step may be repeated;
a crash loses nothing, because the key file is written before a public file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from notalone_crypto.errors import CeremonyFailed, Code, Fault, Misuse, NotAloneError
from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    Manifest,
    ScopePolicy,
    SignedManifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.primitives import signing
from notalone_crypto.protocol import ceremony
from notalone_crypto.protocol.keys import Committee
from notalone_crypto.randomness import Randomness
from notalone_crypto.suite import SECRET_LENGTH, Tag
from notalone_server.trustee.agreement import Agreement, read_agreement, read_file, write_agreement
from notalone_server.trustee.keyfile import (
    Cost,
    KeyFile,
    read_key_file,
    replace_file,
    write_key_file,
)
from notalone_server.trustee.public import PublicFiles, decoded
from notalone_server.trustee.spoken import check_heard

__all__ = [
    "SIGNED_MANIFEST", "Ceremony", "read_policy", "read_signed_manifest", "write_agreement",
]  # fmt: skip
SIGNED_MANIFEST = "manifest.signed"


@dataclass(slots=True)
class Ceremony:
    """One trustee's part in it. Each step writes this trustee's next public file, or says what is missing."""

    folder: Path
    index: int
    key_file: Path
    passphrase: bytes = field(repr=False)
    randomness: Randomness
    cost: Cost = field(default_factory=Cost)
    agreement: Agreement = field(init=False)
    public: PublicFiles = field(init=False)

    def __post_init__(self) -> None:
        """Read what was agreed."""
        self.agreement = read_agreement(self.folder)
        self.public = PublicFiles(self.folder, self.agreement)
        if not 1 <= self.index <= self.agreement.parameters.count:
            raise _operator(Code.PARAMETERS, "the committee has no trustee of this number")

    def keys(self) -> TrusteeKeys:
        """Step 1: make this trustee's keys and publish their public part."""
        if self.key_file.exists():
            own = self._own()
        else:
            keys, public = ceremony.create_keys(self._parameters, self.index, self.randomness)
            storage = self.randomness(SECRET_LENGTH)
            own = KeyFile(self.index, self._parameters.committee, storage, keys, public.encode())
            self._keep(own)
        self._publish(f"keys-{self.index}", own.public)
        return TrusteeKeys.decode(own.public)

    def deal(self) -> Dealing:
        """Step 2: with everybody's keys, deal to everybody."""
        own, public = self._own(), self.public_keys()
        if not own.dealing:
            dealing = ceremony.deal(self._parameters, own.keys, public, self.index, self.randomness)
            own = replace(own, dealing=dealing.encode())
            self._keep(own)
        self._publish(f"dealing-{self.index}", own.dealing)
        return Dealing.decode(own.dealing)

    def confirm(self) -> SubsetHashes:
        """Step 3: open everybody's dealings; publish what was understood, or a complaint and stop.

        Raises: CeremonyFailed naming the culprits.
        """
        own, public = self._own(), self.public_keys()
        dealings = self.public.dealings(public)
        self.public.judge_complaints()
        parts = []
        for dealing in dealings:
            try:
                parts.append(ceremony.open_dealing(self._parameters, own.keys, self.index, dealing))
            except CeremonyFailed:
                complaint = ceremony.complain(
                    self._parameters, own.keys, self.index, dealing, self.randomness
                )
                self._publish(f"complaint-{self.index}-{dealing.dealer}", complaint.encode(), again=True)
                raise
        secrets, hashes = ceremony.combine(self._parameters, own.keys, self.index, dealings, parts)
        if own.secrets is None:
            self._keep(replace(own, secrets=secrets))
        elif own.secrets.subset_keys != secrets.subset_keys:
            raise CeremonyFailed(Code.EQUIVOCATION, "the dealings in the folder are not those opened before")
        self._publish(f"hashes-{self.index}", hashes.encode())
        return hashes

    def manifest(self) -> Manifest:
        """What everybody computes from the public files; its fingerprint is compared aloud."""
        self.public_keys()
        return self.public.manifest()

    @property
    def signing_key(self) -> signing.SigningKey:
        """This trustee's key, by which an exchange knows it. Raises Misuse before step 1."""
        return self._own().keys.signing_key

    @property
    def signed_before(self) -> bytes:
        """The fingerprint that this trustee signed already, or nothing."""
        return self._own().manifest

    def sign(self, compared: str) -> Manifest:
        """Step 4: sign, once the operator typed the digits or words that the others read aloud.

        Raises: StateConflict (ceremony.manifest) when they are another fingerprint's.
        """
        manifest = self.manifest()
        own = self._own()
        if own.secrets is None:
            raise _operator(Code.OUT_OF_ORDER, "this trustee has not confirmed the dealings yet")
        check_heard(compared, manifest.fingerprint)
        if own.manifest not in {b"", manifest.fingerprint}:
            raise CeremonyFailed(
                Code.EQUIVOCATION, "this trustee signed another manifest of this ceremony before"
            )
        if not own.manifest:
            self._keep(replace(own, manifest=manifest.fingerprint))
        signature = ceremony.sign_manifest(manifest, own.keys.signing_key)
        self._publish(f"signature-{self.index}", signature)
        return manifest

    def finish(self) -> Committee:
        """Step 5: with everybody's signature, write the signed manifest.

        Raises: CeremonyFailed naming whose signature is bad.
        """
        manifest = self.manifest()
        signatures = {}
        for index in range(1, self._parameters.count + 1):
            signature = self.public.need(f"signature-{index}", index)
            try:
                signing.verify(
                    manifest.trustees[index - 1].verify_key, signature, Tag.MANIFEST, manifest.fingerprint
                )
            except NotAloneError as error:
                raise CeremonyFailed(
                    Code.SIGNATURE, "a trustee did not sign this manifest", culprits=(index,)
                ) from error
            signatures[index] = signature
        signed = ceremony.collect(manifest, signatures)
        self._publish(SIGNED_MANIFEST, signed.encode())
        return Committee.verified(signed, manifest.fingerprint)

    def public_keys(self) -> list[TrusteeKeys]:
        """Everybody's keys, verified; ours among them are ours. Raises CeremonyFailed."""
        public = self.public.keys()
        if self.key_file.exists() and public[self.index - 1].encode() != self._own().public:
            raise CeremonyFailed(Code.EQUIVOCATION, "somebody replaced this trustee's own keys in the folder")
        return public

    @property
    def _parameters(self) -> CommitteeParameters:
        return self.agreement.parameters

    def _own(self) -> KeyFile:
        own = read_key_file(self.key_file, self.passphrase)
        if own.index != self.index or own.committee != self._parameters.committee:
            raise _operator(Code.COMMITTEE, f"{self.key_file} belongs to another trustee or another ceremony")
        return own

    def _keep(self, content: KeyFile) -> None:
        write_key_file(self.key_file, content, self.passphrase, self.randomness, self.cost)

    def _publish(self, name: str, data: bytes, *, again: bool = False) -> None:
        path = self.folder / name
        if path.exists() and not again:
            if read_file(path) != data:
                raise CeremonyFailed(
                    Code.EQUIVOCATION,
                    f"{name} in the folder is not what this trustee made; somebody replaced it",
                )
            return
        replace_file(path, data)


def read_signed_manifest(path: Path) -> SignedManifest:
    """A signed manifest's file, not verified yet. Raises Misuse (the operator's fault), MalformedInput."""
    return decoded(path.name, SignedManifest, read_file(path))


def read_policy(path: Path) -> tuple[ScopePolicy, bytes]:
    """A scope's rules and their fingerprint, for the operator to read before approving them."""
    policy = decoded(path.name, ScopePolicy, read_file(path))
    return policy, policy.fingerprint


def _operator(code: Code, detail: str) -> Misuse:
    return Misuse(code, detail, fault=Fault.OPERATOR)
