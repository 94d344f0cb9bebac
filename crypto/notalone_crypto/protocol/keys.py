"""What one trustee keeps secret, and what everyone derives from a manifest.

Owns the trustee's key material and the fixed points of a scope. Refuses to
know how the keys were agreed (protocol/ceremony.py) and where they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from notalone_crypto.errors import Code, ContextMismatch
from notalone_crypto.messages.committee import Manifest, SignedManifest
from notalone_crypto.primitives import hpke, kem, prss, signing
from notalone_crypto.primitives.hashing import digest, hash_to_group
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.suite import Tag


@dataclass(frozen=True, slots=True)
class TrusteeSecrets:
    """One trustee's private keys and shares for one generation."""

    index: int
    signing_key: signing.SigningKey = field(repr=False)
    channel_key: hpke.HpkePrivateKey = field(repr=False)
    bundle_key: kem.EncryptionKey = field(repr=False)
    level_shares: Mapping[int, Share] = field(repr=False)  # spec: k_T at this index
    subset_keys: Mapping[prss.Subset, bytes] = field(repr=False)  # spec: K_A, 32 bytes each


@dataclass(frozen=True, slots=True)
class Committee:
    """A verified manifest with what follows from it. Build it with `Committee.verified`."""

    manifest: Manifest
    fingerprint: bytes

    @classmethod
    def verified(cls, signed: SignedManifest, pinned: bytes | None = None) -> Committee:
        """Check every trustee's signature and, if given, the 32-byte pinned fingerprint.

        Raises: VerificationFailed (signature.invalid), ContextMismatch (context.committee).
        """
        manifest = signed.manifest
        fingerprint = manifest.fingerprint
        if pinned is not None and pinned != fingerprint:
            raise ContextMismatch(Code.COMMITTEE, "the manifest is not the pinned one")
        if len(signed.signatures) != manifest.parameters.count:
            raise ContextMismatch(Code.COMMITTEE, "the manifest is not signed by every trustee")
        for keys, signature in zip(manifest.trustees, signed.signatures, strict=True):
            signing.verify(keys.verify_key, signature, Tag.MANIFEST, fingerprint)
        return cls(manifest, fingerprint)

    @property
    def count(self) -> int:
        """Number of trustees."""
        return self.manifest.parameters.count

    @property
    def threshold(self) -> int:
        """Privacy threshold m."""
        return self.manifest.parameters.threshold

    @property
    def instance(self) -> bytes:
        """The instance's name as bytes."""
        return self.manifest.parameters.instance.encode()

    @property
    def identifier(self) -> bytes:
        """32-byte committee identifier."""
        return self.manifest.committee

    def verify_key(self, index: int) -> bytes:
        """Trustee `index`'s Ed25519 key; ContextMismatch when there is no such trustee."""
        if not 1 <= index <= self.count:
            raise ContextMismatch(Code.COMMITTEE, "no trustee has this index")
        return self.manifest.trustees[index - 1].verify_key

    def level_row(self, level: int) -> tuple[bytes, ...]:
        """The m commitments to the level's key."""
        return self.manifest.level_commitments[self.manifest.parameters.levels.index(level)]

    def subset_context(self, entry: bytes, slot: int, level: int) -> bytes:
        """32-byte context of an entry's subset values at one (slot, level).

        Binds committee, generation and the commitments to k_T: refresh or
        re-key under an unchanged context revealed k_T (protocol section 6).
        """
        return digest(
            Tag.SUBSET_VALUE,
            self.instance,
            self.identifier,
            self.manifest.generation.to_bytes(4, "big"),
            b"".join(self.level_row(level)),
            entry,
            bytes((slot, level)),
        )


@lru_cache(maxsize=4096)
def _fixed_point(tag: Tag, *parts: bytes) -> bytes:
    """A public point, mapped once and remembered: every item of a batch asks for the same ones."""
    return hash_to_group(tag, *parts)


def duplicate_base(committee: Committee, scope: bytes, slot: int, level: int, epoch: int) -> bytes:
    """The point an entry's x is read off from; fresh for every epoch (32 bytes)."""  # spec: Dup
    return _fixed_point(
        Tag.DUP,
        committee.instance,
        committee.identifier,
        scope,
        bytes((slot, level)),
        epoch.to_bytes(4, "big"),
    )


def curve_bases(committee: Committee, scope: bytes, slot: int, level: int, epoch: int) -> tuple[bytes, ...]:
    """The level - 1 points that span the curves of one level (32 bytes each)."""  # spec: Base_j
    return tuple(
        _fixed_point(
            Tag.BASE,
            committee.instance,
            committee.identifier,
            scope,
            bytes((slot, level, position)),
            epoch.to_bytes(4, "big"),
        )
        for position in range(level - 1)
    )


def quota_base(committee: Committee, scope: bytes, period: int, index: int) -> bytes:
    """The base of one quota tag (32 bytes)."""
    return _fixed_point(
        Tag.QUOTA_BASE,
        committee.instance,
        committee.identifier,
        scope,
        period.to_bytes(4, "big"),
        index.to_bytes(2, "big"),
    )
