"""Operations on the committee: identifiers, the ceremony, the manifest, derived points.

Owns the JSON form of a trustee's secrets. Refuses to know which cases exist.

A trustee is `{"index", "signing_seed", "channel_secret", "bundle_secret",
"level_shares": {level: share}, "subset_keys": {"1,2": key}}`; a subset is
written as its members with commas.
"""

from __future__ import annotations

from functools import cache

from tools.vectors.op_primitives import share_from, share_table
from tools.vectors.registry import Table, operation, scalar_bytes, scalar_of

from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    DealingComplaint,
    Manifest,
    ScopePolicy,
    SignedManifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.primitives import hpke, kem, signing
from notalone_crypto.protocol import ceremony, log, statement
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.protocol.keys import (
    Committee,
    TrusteeSecrets,
    curve_bases,
    duplicate_base,
    quota_base,
)
from notalone_crypto.randomness import SeededStream


@cache
def committee_of(signed_manifest: bytes) -> Committee:
    """The verified committee behind a signed manifest's bytes."""
    return Committee.verified(SignedManifest.decode(signed_manifest))


def keys_table(keys: CeremonyKeys) -> Table:
    """Long-term keys as JSON."""
    return {
        "signing_seed": keys.signing_key.seed,
        "channel_secret": keys.channel_key.secret,
        "bundle_secret": scalar_bytes(keys.bundle_key.secret),
    }


def keys_from(table: Table) -> CeremonyKeys:
    """Long-term keys from JSON."""
    return CeremonyKeys(
        signing.SigningKey(bytes.fromhex(table["signing_seed"])),
        hpke.HpkePrivateKey(bytes.fromhex(table["channel_secret"])),
        kem.EncryptionKey(scalar_of(table["bundle_secret"])),
    )


def trustee_table(secrets: TrusteeSecrets) -> Table:
    """A trustee's secrets as JSON."""
    return {
        "index": secrets.index,
        **keys_table(CeremonyKeys(secrets.signing_key, secrets.channel_key, secrets.bundle_key)),
        "level_shares": {str(level): share_table(share) for level, share in secrets.level_shares.items()},
        "subset_keys": {",".join(map(str, subset)): key for subset, key in secrets.subset_keys.items()},
    }


def trustee_from(table: Table) -> TrusteeSecrets:
    """A trustee's secrets from JSON."""
    keys = keys_from(table)
    return TrusteeSecrets(
        table["index"],
        keys.signing_key,
        keys.channel_key,
        keys.bundle_key,
        {int(level): share_from(share) for level, share in table["level_shares"].items()},
        {
            tuple(int(member) for member in subset.split(",")): bytes.fromhex(key)
            for subset, key in table["subset_keys"].items()
        },
    )


@operation("committee.identifier")
def identifier(parameters: bytes) -> Table:
    """Committee identifier and quorum of encoded parameters."""
    decoded = CommitteeParameters.decode(parameters)
    return {"committee": decoded.committee, "quorum": decoded.quorum}


@operation("committee.verify")
def verify(signed_manifest: bytes, pinned: bytes) -> Table:
    """Check all signatures and the pinned fingerprint; an empty `pinned` pins nothing."""
    made = Committee.verified(SignedManifest.decode(signed_manifest), pinned or None)
    return {"fingerprint": made.fingerprint, "committee": made.identifier}


@operation("policy.names")
def policy_names(policy: bytes) -> Table:
    """Scope identifier, fingerprint, (slot, level) order and log leaf of a policy."""
    decoded = ScopePolicy.decode(policy)
    return {
        "scope": decoded.scope,
        "fingerprint": decoded.fingerprint,
        "positions": statement.positions(decoded),
        "leaf": log.policy_leaf(decoded),
    }


@operation("keys.bases")
def bases(signed_manifest: bytes, scope: bytes, slot: int, level: int, epoch: int) -> Table:
    """The points x and curve values are made on."""
    made = committee_of(signed_manifest)
    return {
        "duplicate": duplicate_base(made, scope, slot, level, epoch),
        "curve": curve_bases(made, scope, slot, level, epoch),
    }


@operation("keys.quota_base")
def quota(signed_manifest: bytes, scope: bytes, period: int, index: int) -> Table:
    """The base of a quota tag."""
    return {"element": quota_base(committee_of(signed_manifest), scope, period, index)}


@operation("keys.subset_context")
def subset_context(signed_manifest: bytes, entry: bytes, slot: int, level: int) -> Table:
    """The context of an entry's subset values."""
    return {"context": committee_of(signed_manifest).subset_context(entry, slot, level)}


@operation("ceremony.create_keys")
def create_keys(parameters: bytes, index: int, seed: bytes) -> Table:
    """Long-term keys and their public message."""
    keys, public = ceremony.create_keys(CommitteeParameters.decode(parameters), index, SeededStream(seed))
    return {"keys": keys_table(keys), "public": public.encode()}


@operation("ceremony.check_keys")
def check_keys(parameters: bytes, public: list[bytes]) -> Table:
    """Check every trustee's public keys."""
    decoded = [TrusteeKeys.decode(one) for one in public]
    ceremony.check_keys(CommitteeParameters.decode(parameters), decoded)
    return {"valid": True}


@operation("ceremony.deal")
def deal(parameters: bytes, keys: Table, public: list[bytes], index: int, seed: bytes) -> Table:
    """One trustee's dealing."""
    decoded = [TrusteeKeys.decode(one) for one in public]
    stream = SeededStream(seed)
    made = ceremony.deal(CommitteeParameters.decode(parameters), keys_from(keys), decoded, index, stream)
    return {"dealing": made.encode()}


@operation("ceremony.check_dealing")
def check_dealing(parameters: bytes, public: list[bytes], dealing: bytes) -> Table:
    """What anybody can check of a dealing."""
    decoded = [TrusteeKeys.decode(one) for one in public]
    ceremony.check_dealing(CommitteeParameters.decode(parameters), decoded, Dealing.decode(dealing))
    return {"valid": True}


@operation("ceremony.open_dealing")
def open_dealing(parameters: bytes, keys: Table, index: int, dealing: bytes) -> Table:
    """One trustee's part of a dealing."""
    part = ceremony.open_dealing(
        CommitteeParameters.decode(parameters), keys_from(keys), index, Dealing.decode(dealing)
    )
    return {
        "shares": [share_table(share) for share in part.shares],
        "contributions": {",".join(map(str, subset)): one for subset, one in part.contributions.items()},
    }


@operation("ceremony.complain")
def complain(parameters: bytes, keys: Table, index: int, dealing: bytes, seed: bytes) -> Table:
    """A complaint about a dealing."""
    decoded = CommitteeParameters.decode(parameters)
    stream = SeededStream(seed)
    made = ceremony.complain(decoded, keys_from(keys), index, Dealing.decode(dealing), stream)
    return {"complaint": made.encode()}


@operation("ceremony.judge")
def judge(parameters: bytes, public: list[bytes], dealing: bytes, complaint: bytes) -> Table:
    """The verdict: code and culprits."""
    verdict = ceremony.judge(
        CommitteeParameters.decode(parameters),
        [TrusteeKeys.decode(one) for one in public],
        Dealing.decode(dealing),
        DealingComplaint.decode(complaint),
    )
    return {"code": verdict.code.value, "culprits": verdict.culprits}


@operation("ceremony.combine")
def combine(parameters: bytes, keys: Table, index: int, dealings: list[bytes]) -> Table:
    """A trustee's secrets from all dealings, and its subset hashes."""
    decoded = CommitteeParameters.decode(parameters)
    parsed = [Dealing.decode(one) for one in dealings]
    own = keys_from(keys)
    parts = [ceremony.open_dealing(decoded, own, index, one) for one in parsed]
    secrets, hashes = ceremony.combine(decoded, own, index, parsed, parts)
    return {"trustee": trustee_table(secrets), "hashes": hashes.encode()}


@operation("ceremony.assemble_manifest")
def assemble(
    parameters: bytes,
    public: list[bytes],
    dealings: list[bytes],
    hashes: list[bytes],
    board_key: bytes,
    auditors: list[bytes],
) -> Table:
    """The manifest that follows from the public messages."""
    manifest = ceremony.assemble_manifest(
        CommitteeParameters.decode(parameters),
        [TrusteeKeys.decode(one) for one in public],
        [Dealing.decode(one) for one in dealings],
        [SubsetHashes.decode(one) for one in hashes],
        board_key=board_key,
        auditors=tuple(auditors),
    )
    return {"manifest": manifest.encode(), "fingerprint": manifest.fingerprint}


@operation("ceremony.sign_manifest")
def sign_manifest(manifest: bytes, signing_seed: bytes) -> Table:
    """One trustee's signature over the fingerprint."""
    return {"signature": ceremony.sign_manifest(Manifest.decode(manifest), signing.SigningKey(signing_seed))}
