"""The key ceremony: joint Pedersen VSS for every level, subset keys, manifest.

Owns what each trustee sends, checks and keeps (specs/20-protocol.md#ceremony).
Refuses to know transport, files and operators. Every dealing is sealed with
the provable KEM, so that a bad one convicts its dealer before everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from notalone_crypto.codec import Reader, Writer
from notalone_crypto.errors import CeremonyFailed, Code, NotAloneError
from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    DealingComplaint,
    Manifest,
    SignedManifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.primitives import aead, hpke, kem, pedersen, prss, signing
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import digest
from notalone_crypto.primitives.pedersen import Share
from notalone_crypto.protocol.keys import TrusteeSecrets
from notalone_crypto.protocol.signed import UNSIGNED, check_signature, sign_message
from notalone_crypto.randomness import Randomness, random_scalar
from notalone_crypto.suite import SECRET_LENGTH, Tag


@dataclass(frozen=True, slots=True)
class CeremonyKeys:
    """The long-term keys a trustee brings to the ceremony."""

    signing_key: signing.SigningKey = field(repr=False)
    channel_key: hpke.HpkePrivateKey = field(repr=False)
    bundle_key: kem.EncryptionKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class PrivatePart:
    """What one dealer gave one trustee: a share per level, a contribution per subset."""

    shares: tuple[Share, ...] = field(repr=False)
    contributions: Mapping[prss.Subset, bytes] = field(repr=False)


def create_keys(
    parameters: CommitteeParameters,
    index: int,
    randomness: Randomness,
    generation: int = 0,
    signing_key: signing.SigningKey | None = None,
) -> tuple[CeremonyKeys, TrusteeKeys]:
    """Fresh keys of trustee `index` and their public part, proved and self-signed.

    Who stays from one generation to the next may keep its signing key, nothing else.
    """
    keys = CeremonyKeys(
        signing_key or signing.generate_key(randomness),
        hpke.generate_key(randomness),
        kem.generate_key(randomness),
    )
    session = _keys_session(parameters, index, generation)
    public = TrusteeKeys(
        parameters.committee,
        generation,
        index,
        keys.signing_key.verify_key,
        keys.channel_key.public,
        keys.bundle_key.public,
        kem.prove_key(keys.bundle_key, session, randomness),
        UNSIGNED,
    )
    return keys, sign_message(public, keys.signing_key, Tag.TRUSTEE_KEYS)


def check_keys(parameters: CommitteeParameters, public: Sequence[TrusteeKeys]) -> None:
    """Raise CeremonyFailed, naming culprits, unless every trustee's keys are good and different."""
    if [keys.index for keys in public] != list(range(1, parameters.count + 1)):
        raise CeremonyFailed(Code.PARAMETERS, "the keys of every trustee are needed, in order")
    if len({keys.generation for keys in public}) != 1:
        raise CeremonyFailed(Code.GENERATION, "trustees brought keys of different generations")
    seen: dict[bytes, int] = {}
    for keys in public:
        session = _keys_session(parameters, keys.index, keys.generation)
        try:
            signing.check_verify_key(keys.verify_key)
            check_signature(keys, keys.verify_key, Tag.TRUSTEE_KEYS)
            # Nothing can be sealed to a key of low order: its owner would stop every batch.
            hpke.check_public(keys.channel_key)
            kem.check_key(keys.bundle_key, session, keys.proof)
        except NotAloneError as error:
            raise CeremonyFailed(
                error.code, "a trustee's keys are bad, not proved or not signed", culprits=(keys.index,)
            ) from error
        if keys.committee != parameters.committee:
            raise CeremonyFailed(Code.COMMITTEE, "keys for another committee", culprits=(keys.index,))
        for key in (keys.verify_key, keys.channel_key, keys.bundle_key):
            if key in seen:
                raise CeremonyFailed(
                    Code.DUPLICATE, "two trustees share a key", culprits=(seen[key], keys.index)
                )
            seen[key] = keys.index


def deal(
    parameters: CommitteeParameters,
    keys: CeremonyKeys,
    public: Sequence[TrusteeKeys],
    index: int,
    randomness: Randomness,
    levels: tuple[int, ...] | None = None,
) -> Dealing:
    """One trustee's dealing: a share of a random key per level, a contribution per held subset.

    `levels` is empty in a re-share that keeps the keys (protocol/reshare.py).
    """
    count, threshold = parameters.count, parameters.threshold
    generation = public[index - 1].generation
    dealings = [
        pedersen.deal(random_scalar(randomness), random_scalar(randomness), threshold, count, randomness)
        for _ in (parameters.levels if levels is None else levels)
    ]
    contributions = {
        subset: randomness(SECRET_LENGTH) for subset in prss.held_subsets(count, threshold, index)
    }
    ephemeral = random_scalar(randomness)
    enc = kem.encapsulation(ephemeral)
    context = _dealing_context(parameters, generation, index)
    sealed = []
    for recipient in public:
        writer = Writer()
        for dealing in dealings:
            share = dealing.shares[recipient.index - 1]
            writer.fixed(RISTRETTO255.encode_scalar(share.value), 32)
            writer.fixed(RISTRETTO255.encode_scalar(share.blind), 32)
        for subset, contribution in contributions.items():
            if recipient.index not in subset:
                writer.fixed(contribution, SECRET_LENGTH)
        key = kem.encapsulate(ephemeral, recipient.bundle_key, recipient.index, context)
        sealed.append(aead.seal(key, context, writer.finish()))
    message = Dealing(
        parameters.committee,
        generation,
        index,
        tuple(dealing.commitments for dealing in dealings),
        tuple(_contribution_hash(subset, index, value) for subset, value in contributions.items()),
        enc,
        tuple(sealed),
        b"",
        UNSIGNED,
    )
    proof = kem.prove_key(kem.EncryptionKey(ephemeral), _enc_session(message), randomness)
    return sign_message(replace(message, proof=proof), keys.signing_key, Tag.DEALING)


def check_dealing(
    parameters: CommitteeParameters,
    public: Sequence[TrusteeKeys],
    dealing: Dealing,
    levels: tuple[int, ...] | None = None,
) -> None:
    """What anybody can check of a dealing; raises CeremonyFailed naming the dealer."""
    culprit = (dealing.dealer,)
    if not 1 <= dealing.dealer <= parameters.count:
        raise CeremonyFailed(Code.DEALING, "a dealing from outside the committee")
    try:
        check_signature(dealing, public[dealing.dealer - 1].verify_key, Tag.DEALING)
    except NotAloneError as error:
        raise CeremonyFailed(error.code, "a dealing is not signed by its dealer", culprits=culprit) from error
    held = prss.held_subsets(parameters.count, parameters.threshold, dealing.dealer)
    if dealing.committee != parameters.committee or dealing.generation != public[0].generation:
        raise CeremonyFailed(Code.COMMITTEE, "a dealing for another committee", culprits=culprit)
    expected = parameters.levels if levels is None else levels
    if len(dealing.commitments) != len(expected) or any(
        len(row) != parameters.threshold for row in dealing.commitments
    ):
        raise CeremonyFailed(Code.COMMITMENT_LENGTH, "a dealing has a wrong degree", culprits=culprit)
    if len(dealing.contribution_hashes) != len(held) or len(dealing.sealed) != parameters.count:
        raise CeremonyFailed(Code.DEALING, "a dealing has missing parts", culprits=culprit)
    try:
        kem.check_key(dealing.enc, _enc_session(dealing), dealing.proof)
    except NotAloneError as error:
        raise CeremonyFailed(error.code, "a dealing's enc is not proved", culprits=culprit) from error


def open_dealing(
    parameters: CommitteeParameters, keys: CeremonyKeys, index: int, dealing: Dealing
) -> PrivatePart:
    """Trustee `index`'s part. Raises CeremonyFailed naming the dealer; then `complain`."""
    context = _dealing_context(parameters, dealing.generation, dealing.dealer)
    key = kem.decapsulate(keys.bundle_key, dealing.enc, index, context)
    return _open_part(parameters, dealing, index, key)


def complain(
    parameters: CommitteeParameters,
    keys: CeremonyKeys,
    index: int,
    dealing: Dealing,
    randomness: Randomness,
) -> DealingComplaint:
    """Publish what a dealer sealed to this trustee, with proof."""
    session = _complaint_session(parameters, index, dealing)
    complaint = kem.complain(keys.bundle_key, dealing.enc, session, randomness)
    message = DealingComplaint(
        parameters.committee,
        dealing.generation,
        index,
        dealing.dealer,
        complaint.shared_point,
        complaint.proof,
        UNSIGNED,
    )
    return sign_message(message, keys.signing_key, Tag.COMPLAINT)


def judge(
    parameters: CommitteeParameters,
    public: Sequence[TrusteeKeys],
    dealing: Dealing,
    complaint: DealingComplaint,
) -> CeremonyFailed:
    """The verdict on a complaint, the same for everybody: it names dealer or accuser.

    Raises: VerificationFailed (signature.invalid) for a complaint its accuser
    did not sign: whoever carries messages must not be able to frame a trustee.
    """
    accuser = complaint.accuser
    if not 1 <= accuser <= parameters.count or complaint.dealer != dealing.dealer:
        return CeremonyFailed(Code.COMPLAINT, "a complaint about nothing")
    keys = public[accuser - 1]
    check_signature(complaint, keys.verify_key, Tag.COMPLAINT)
    try:
        shared = kem.check_complaint(
            keys.bundle_key,
            dealing.enc,
            _complaint_session(parameters, accuser, dealing),
            kem.Complaint(complaint.shared, complaint.proof),
        )
    except NotAloneError:
        return CeremonyFailed(Code.COMPLAINT, "a complaint does not verify", culprits=(accuser,))
    context = _dealing_context(parameters, dealing.generation, dealing.dealer)
    key = kem.derive_key(shared, dealing.enc, keys.bundle_key, accuser, context)
    try:
        _open_part(parameters, dealing, accuser, key)
    except CeremonyFailed as verdict:
        return verdict
    return CeremonyFailed(Code.COMPLAINT, "the dealing complained of is good", culprits=(accuser,))


def combine(
    parameters: CommitteeParameters,
    keys: CeremonyKeys,
    index: int,
    dealings: Sequence[Dealing],
    parts: Sequence[PrivatePart],
    level_shares: Mapping[int, Share] | None = None,
    resharing: bytes = b"",
) -> tuple[TrusteeSecrets, SubsetHashes]:
    """Add all dealings up to this trustee's secrets; the hashes let others see a lie about keys.

    A re-share gives `level_shares` where it keeps the keys, and the hash of
    everything it re-shared, so that consent covers that too.
    """
    if level_shares is None:
        level_shares = {
            level: Share(
                index,
                sum(part.shares[position].value for part in parts) % ORDER,
                sum(part.shares[position].blind for part in parts) % ORDER,
            )
            for position, level in enumerate(parameters.levels)
        }
    subset_keys = {}
    for subset in prss.held_subsets(parameters.count, parameters.threshold, index):
        given = [part.contributions[subset] for part in parts if subset in part.contributions]
        subset_keys[subset] = digest(Tag.SUBSET_KEY, parameters.committee, bytes(subset), *given)
    secrets = TrusteeSecrets(
        index, keys.signing_key, keys.channel_key, keys.bundle_key, level_shares, subset_keys
    )
    message = SubsetHashes(
        parameters.committee,
        dealings[0].generation,
        index,
        _dealings_hash(dealings, resharing),
        tuple(prss.subset_key_hash(key, subset) for subset, key in subset_keys.items()),
        UNSIGNED,
    )
    return secrets, sign_message(message, keys.signing_key, Tag.SUBSET_KEY_HASH)


def assemble_manifest(
    parameters: CommitteeParameters,
    public: Sequence[TrusteeKeys],
    dealings: Sequence[Dealing],
    hashes: Sequence[SubsetHashes],
    *,
    board_key: bytes,
    auditors: tuple[bytes, ...],
    previous: bytes = bytes(32),
    level_rows: tuple[tuple[bytes, ...], ...] | None = None,
    resharing: bytes = b"",
) -> Manifest:
    """The manifest everybody computes from the public messages.

    Raises: CeremonyFailed (committee.subset_mismatch) naming the set whose
    members disagree about a subset key, or whoever saw other dealings.
    """
    if [dealing.dealer for dealing in dealings] != list(range(1, parameters.count + 1)):
        raise CeremonyFailed(Code.DEALING, "a dealing from every trustee is needed, in order")
    expected = _dealings_hash(dealings, resharing)
    known: dict[prss.Subset, bytes] = {}
    for message in hashes:
        if not 1 <= message.index <= parameters.count:
            raise CeremonyFailed(Code.DEALING, "subset hashes from outside the committee")
        check_signature(message, public[message.index - 1].verify_key, Tag.SUBSET_KEY_HASH)
        if message.dealings != expected:
            raise CeremonyFailed(Code.EQUIVOCATION, "a trustee saw other dealings", culprits=(message.index,))
        held = prss.held_subsets(parameters.count, parameters.threshold, message.index)
        if len(message.hashes) != len(held):
            raise CeremonyFailed(Code.DEALING, "subset hashes are missing", culprits=(message.index,))
        for subset, key_hash in zip(held, message.hashes, strict=True):
            if known.setdefault(subset, key_hash) != key_hash:
                holders = tuple(i for i in range(1, parameters.count + 1) if i not in subset)
                raise CeremonyFailed(
                    Code.SUBSET_MISMATCH, "the holders of a subset key disagree", culprits=holders
                )
    if {message.index for message in hashes} != set(range(1, parameters.count + 1)):
        raise CeremonyFailed(Code.DEALING, "subset hashes of every trustee are needed")
    rows = list(level_rows or ())
    for position in range(len(parameters.levels) if level_rows is None else 0):
        columns = zip(*(dealing.commitments[position] for dealing in dealings), strict=True)
        rows.append(tuple(RISTRETTO255.small_combination([1] * len(column), column) for column in columns))
    return Manifest(
        parameters,
        dealings[0].generation,
        tuple(public),
        tuple(rows),
        tuple(known[subset] for subset in prss.subsets(parameters.count, parameters.threshold)),
        board_key,
        auditors,
        previous,
    )


def sign_manifest(manifest: Manifest, key: signing.SigningKey) -> bytes:
    """One trustee's 64-byte signature over the manifest's fingerprint."""
    return key.sign(Tag.MANIFEST, manifest.fingerprint)


def collect(manifest: Manifest, signatures: Mapping[int, bytes]) -> SignedManifest:
    """The manifest with all signatures in order of index."""
    return SignedManifest(manifest, tuple(signatures[keys.index] for keys in manifest.trustees))


def _open_part(parameters: CommitteeParameters, dealing: Dealing, index: int, key: bytes) -> PrivatePart:
    context = _dealing_context(parameters, dealing.generation, dealing.dealer)
    count, threshold = parameters.count, parameters.threshold
    held = prss.held_subsets(count, threshold, dealing.dealer)
    try:
        reader = Reader(aead.open_sealed(key, context, dealing.sealed[index - 1]))
        shares = []
        for row in dealing.commitments:
            value = RISTRETTO255.decode_scalar(reader.fixed(32))
            share = Share(index, value, RISTRETTO255.decode_scalar(reader.fixed(32)))
            pedersen.verify_share(row, threshold, share)
            shares.append(share)
        contributions = {subset: reader.fixed(SECRET_LENGTH) for subset in held if index not in subset}
        reader.finish()
    except NotAloneError as error:
        raise CeremonyFailed(
            Code.DEALING, "a dealing's sealed part is bad", culprits=(dealing.dealer,)
        ) from error
    for subset, given in contributions.items():
        announced = dealing.contribution_hashes[held.index(subset)]
        if announced != _contribution_hash(subset, dealing.dealer, given):
            raise CeremonyFailed(
                Code.DEALING, "a contribution is not the announced one", culprits=(dealing.dealer,)
            )
    return PrivatePart(tuple(shares), contributions)


def _contribution_hash(subset: prss.Subset, dealer: int, value: bytes) -> bytes:
    return digest(Tag.SUBSET_CONTRIBUTION, bytes(subset), bytes([dealer]), value)


def _keys_session(parameters: CommitteeParameters, index: int, generation: int) -> bytes:
    return digest(Tag.TRUSTEE_KEYS, parameters.committee, bytes([index]), generation.to_bytes(4, "big"))


def _dealing_context(parameters: CommitteeParameters, generation: int, dealer: int) -> bytes:
    return digest(Tag.DEALING, parameters.committee, generation.to_bytes(4, "big"), bytes([dealer]))


def _enc_session(dealing: Dealing) -> bytes:
    return digest(Tag.DEALING, b"enc", replace(dealing, proof=b"", signature=UNSIGNED).encode())


def _complaint_session(parameters: CommitteeParameters, accuser: int, dealing: Dealing) -> bytes:
    return digest(Tag.COMPLAINT, parameters.committee, bytes([accuser]), dealing.encode())


def _dealings_hash(dealings: Sequence[Dealing], resharing: bytes) -> bytes:
    return digest(Tag.DEALING, b"all", resharing, *(dealing.encode() for dealing in dealings))
