"""The key ceremony: honest runs end in one manifest, every cheat ends with its author's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import pytest

from notalone_crypto.errors import CeremonyFailed, Code, ContextMismatch, VerificationFailed
from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    SignedManifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.primitives import aead, kem, pedersen, prss
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.protocol import ceremony
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag

HONEST = [(3, 2), (4, 2), (5, 3), (7, 4)]


@dataclass(frozen=True)
class Held:
    """A ceremony after everybody dealt, with all secrets for the test to misuse."""

    parameters: CommitteeParameters
    keys: tuple[CeremonyKeys, ...]
    public: tuple[TrusteeKeys, ...]
    dealings: tuple[Dealing, ...]
    ephemerals: tuple[int, ...]

    def combined(self, index: int, dealings: tuple[Dealing, ...] = ()) -> tuple[TrusteeSecrets, SubsetHashes]:
        used = dealings or self.dealings
        own = self.keys[index - 1]
        parts = [ceremony.open_dealing(self.parameters, own, index, dealing) for dealing in used]
        return ceremony.combine(self.parameters, own, index, used, parts)

    def all_combined(self) -> tuple[list[TrusteeSecrets], list[SubsetHashes]]:
        both = [self.combined(index) for index in range(1, self.parameters.count + 1)]
        return [own for own, _ in both], [message for _, message in both]

    def manifest(self, hashes: list[SubsetHashes]) -> ceremony.Manifest:
        return ceremony.assemble_manifest(
            self.parameters, self.public, self.dealings, hashes, board_key=bytes(32), auditors=()
        )

    def signed(self) -> SignedManifest:
        secrets, hashes = self.all_combined()
        manifest = self.manifest(hashes)
        return ceremony.collect(
            manifest, {own.index: ceremony.sign_manifest(manifest, own.signing_key) for own in secrets}
        )

    def redealt(self, dealer: int, **change: object) -> Dealing:
        """The dealer's dealing with something changed, proved and signed again by its dealer."""
        dealing = replace(self.dealings[dealer - 1], **change)  # type: ignore[arg-type]
        proof = kem.prove_key(
            kem.EncryptionKey(self.ephemerals[dealer - 1]),
            ceremony._enc_session(dealing),
            SeededStream(b"again"),
        )
        return sign_message(replace(dealing, proof=proof), self.keys[dealer - 1].signing_key, Tag.DEALING)

    def reseal(self, dealer: int, to: int, plaintext: bytes) -> Dealing:
        """The dealing with other contents for one trustee, correctly sealed."""
        context = ceremony._dealing_context(self.parameters, 0, dealer)
        key = kem.encapsulate(self.ephemerals[dealer - 1], self.public[to - 1].bundle_key, to, context)
        sealed = list(self.dealings[dealer - 1].sealed)
        sealed[to - 1] = aead.seal(key, context, plaintext)
        return self.redealt(dealer, sealed=tuple(sealed))

    def opened(self, dealer: int, to: int) -> bytes:
        """The plaintext that a dealer sealed to one trustee."""
        dealing = self.dealings[dealer - 1]
        context = ceremony._dealing_context(self.parameters, 0, dealer)
        key = kem.decapsulate(self.keys[to - 1].bundle_key, dealing.enc, to, context)
        return aead.open_sealed(key, context, dealing.sealed[to - 1])


@cache
def held(count: int = 3, threshold: int = 2) -> Held:
    stream = SeededStream(bytes((count, threshold)))
    parameters = CommitteeParameters(
        "test", tuple(f"trustee {index}" for index in range(1, count + 1)), threshold, (2, 3), stream(32)
    )
    made = [ceremony.create_keys(parameters, index, stream) for index in range(1, count + 1)]
    public = tuple(keys for _, keys in made)
    ephemerals: list[int] = []
    original = kem.encapsulation

    def note(ephemeral: int) -> bytes:
        ephemerals.append(ephemeral)
        return original(ephemeral)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kem, "encapsulation", note)
        dealings = tuple(
            ceremony.deal(parameters, keys, public, index, stream) for index, (keys, _) in enumerate(made, 1)
        )
    return Held(
        parameters, tuple(keys for keys, _ in made), public, dealings, tuple(dict.fromkeys(ephemerals))
    )


def fails(action: Callable[[], object], code: Code, *culprits: int) -> None:
    with pytest.raises(CeremonyFailed) as caught:
        action()
    assert (caught.value.code, caught.value.culprits) == (code, culprits)


@pytest.mark.parametrize(("count", "threshold"), HONEST)
def test_honest_ceremony_gives_one_manifest_and_shares_of_keys_nobody_knows(
    count: int, threshold: int
) -> None:
    one = held(count, threshold)
    ceremony.check_keys(one.parameters, one.public)
    for dealing in one.dealings:
        ceremony.check_dealing(one.parameters, one.public, dealing)
    committee = Committee.verified(one.signed())
    secrets, hashes = one.all_combined()
    assert committee.manifest == one.manifest(hashes[::-1])
    for level in one.parameters.levels:
        row = committee.level_row(level)
        shares = [own.level_shares[level] for own in secrets]
        for share in shares:
            pedersen.verify_share(row, threshold, share)
        values = {pedersen.recover(row, threshold, chosen) for chosen in combinations(shares, threshold)}
        assert len(values) == 1
        # Not any one dealer's: the sum of all contributions.
        assert row[0] not in {
            dealing.commitments[one.parameters.levels.index(level)][0] for dealing in one.dealings
        }
    for number, subset in enumerate(prss.subsets(count, threshold)):
        keys = {own.subset_keys.get(subset) for own in secrets if own.index not in subset}
        assert len(keys) == 1
        assert committee.manifest.subset_key_hashes[number] == prss.subset_key_hash(keys.pop() or b"", subset)
        assert all(subset not in own.subset_keys for own in secrets if own.index in subset)


def test_bad_dealing_and_false_complaint_have_one_verdict() -> None:
    """CER-2: bad share, bad contribution, junk, too short, too long; then the lies about good ones."""
    one = held()
    plain = one.opened(2, 1)
    share = int.from_bytes(plain[:32], "little")
    spoiled = {
        "another share": ((share + 1) % ORDER).to_bytes(32, "little") + plain[32:],
        "a share that is not reduced": b"\xff" * 32 + plain[32:],
        "another contribution": plain[:-1] + bytes([plain[-1] ^ 1]),
        "too short": plain[:-32],
        "too long": plain + b"\x00",
        "nothing": b"",
    }
    dealings = [one.reseal(2, 1, text) for text in spoiled.values()]
    dealings.append(one.redealt(2, sealed=(b"junk" * 40, *one.dealings[1].sealed[1:])))
    dealings.append(one.redealt(2, sealed=(one.dealings[1].sealed[2], *one.dealings[1].sealed[1:])))
    for dealing in dealings:
        ceremony.check_dealing(one.parameters, one.public, dealing)
        fails(
            lambda dealing=dealing: ceremony.open_dealing(one.parameters, one.keys[0], 1, dealing),
            Code.DEALING,
            2,
        )  # type: ignore[misc]
        complaint = ceremony.complain(one.parameters, one.keys[0], 1, dealing, SeededStream(b"complain"))
        verdict = ceremony.judge(one.parameters, one.public, dealing, complaint)
        assert (verdict.code, verdict.culprits) == (Code.DEALING, (2,))
        # Others' parts stay sealed and good.
        ceremony.open_dealing(one.parameters, one.keys[2], 3, dealing)
        # The same complaint about another dealing is a lie.
        elsewhere = ceremony.judge(one.parameters, one.public, one.dealings[1], complaint)
        assert (elsewhere.code, elsewhere.culprits) == (Code.COMPLAINT, (1,))


def test_false_complaints_name_the_accuser() -> None:
    """CER-2."""
    one = held()
    good = one.dealings[1]
    honest = ceremony.complain(one.parameters, one.keys[0], 1, good, SeededStream(b"complain"))
    forged = [
        honest,  # the part is good
        sign_message(replace(honest, shared=RISTRETTO255.generator), one.keys[0].signing_key, Tag.COMPLAINT),
        sign_message(replace(honest, proof=b""), one.keys[0].signing_key, Tag.COMPLAINT),
    ]
    for complaint in forged:
        verdict = ceremony.judge(one.parameters, one.public, good, complaint)
        assert (verdict.code, verdict.culprits) == (Code.COMPLAINT, (1,))
    # Whoever carries messages frames nobody.
    for unsigned in (replace(honest, signature=bytes(64)), replace(honest, accuser=3)):
        with pytest.raises(VerificationFailed) as caught:
            ceremony.judge(one.parameters, one.public, good, unsigned)
        assert (caught.value.code, caught.value.culprits) == (Code.SIGNATURE, ())
    for outside in (0, 4, 255):
        verdict = ceremony.judge(one.parameters, one.public, good, replace(honest, accuser=outside))
        assert (verdict.code, verdict.culprits) == (Code.COMPLAINT, ())
    assert ceremony.judge(one.parameters, one.public, one.dealings[2], honest).culprits == ()


def test_copied_enc_in_a_dealing_is_refused() -> None:
    """CER-3: with another's enc as its own, a dealer's victim opens the other's dealing by complaining."""
    one = held()
    victim, thief = one.dealings[0], one.dealings[1]
    stolen = [
        replace(thief, enc=victim.enc),
        replace(thief, enc=victim.enc, proof=victim.proof),
        replace(
            thief, enc=victim.enc, commitments=victim.commitments, sealed=victim.sealed, proof=victim.proof
        ),
        replace(thief, proof=b""),
    ]
    for dealing in stolen:
        signed = sign_message(dealing, one.keys[1].signing_key, Tag.DEALING)
        with pytest.raises(CeremonyFailed) as caught:
            ceremony.check_dealing(one.parameters, one.public, signed)
        assert caught.value.culprits == (2,)


def test_malformed_dealings_name_their_dealer() -> None:
    """CER-1 too: over-long and short rows."""
    one = held()
    dealing = one.dealings[2]
    row = dealing.commitments[0]
    cases: list[tuple[dict[str, object], Code]] = [
        ({"commitments": (row + row[:1], row)}, Code.COMMITMENT_LENGTH),
        ({"commitments": (row[:1], row)}, Code.COMMITMENT_LENGTH),
        ({"commitments": (row,)}, Code.COMMITMENT_LENGTH),
        ({"commitments": (row, row, row)}, Code.COMMITMENT_LENGTH),
        ({"contribution_hashes": dealing.contribution_hashes[1:]}, Code.DEALING),
        ({"contribution_hashes": (*dealing.contribution_hashes, bytes(32))}, Code.DEALING),
        ({"sealed": dealing.sealed[1:]}, Code.DEALING),
        ({"sealed": (*dealing.sealed, b"")}, Code.DEALING),
        ({"committee": bytes(32)}, Code.COMMITTEE),
        ({"generation": 1}, Code.COMMITTEE),
    ]
    for change, code in cases:
        bad = one.redealt(3, **change)
        fails(lambda bad=bad: ceremony.check_dealing(one.parameters, one.public, bad), code, 3)  # type: ignore[misc]


def test_unsigned_or_foreign_dealing_is_refused() -> None:
    one = held()
    unsigned = replace(one.dealings[0], signature=bytes(64))
    fails(lambda: ceremony.check_dealing(one.parameters, one.public, unsigned), Code.SIGNATURE, 1)
    for dealer in (2, 3):
        renamed = replace(one.dealings[0], dealer=dealer)
        fails(
            lambda renamed=renamed: ceremony.check_dealing(one.parameters, one.public, renamed),  # type: ignore[misc]
            Code.SIGNATURE,
            renamed.dealer,
        )
    for outside in (0, 4, 255):
        renamed = replace(one.dealings[0], dealer=outside)
        fails(
            lambda renamed=renamed: ceremony.check_dealing(one.parameters, one.public, renamed), Code.DEALING
        )  # type: ignore[misc]


def resigned(one: Held, index: int, **change: object) -> tuple[TrusteeKeys, ...]:
    keys = replace(one.public[index - 1], **change)  # type: ignore[arg-type]
    signed = sign_message(keys, one.keys[index - 1].signing_key, Tag.TRUSTEE_KEYS)
    return tuple(signed if keys.index == index else keys for keys in one.public)


def test_keys_that_are_unsigned_unproved_shared_or_for_another_committee_name_their_owner() -> None:
    one = held()
    check = ceremony.check_keys
    unsigned = (replace(one.public[0], signature=bytes(64)), *one.public[1:])
    fails(lambda: check(one.parameters, unsigned), Code.SIGNATURE, 1)
    for proof in (b"", one.public[0].proof, one.public[1].proof[:-1] + bytes([one.public[1].proof[-1] ^ 1])):
        with pytest.raises(CeremonyFailed) as caught:
            check(one.parameters, resigned(one, 2, proof=proof))
        assert caught.value.culprits == (2,)
    fails(lambda: check(one.parameters, resigned(one, 3, committee=bytes(32))), Code.COMMITTEE, 3)
    fails(
        lambda: check(one.parameters, resigned(one, 3, channel_key=one.public[0].channel_key)),
        Code.DUPLICATE,
        1,
        3,
    )
    for wrong in (one.public[:2], one.public[::-1], (*one.public, one.public[2]), ()):
        fails(lambda wrong=wrong: check(one.parameters, wrong), Code.PARAMETERS)  # type: ignore[misc]


def test_keys_of_two_generations_do_not_mix() -> None:
    """Attack: a trustee replays keys of an older generation, whose secret it may have lost or given away."""
    one = held()
    _, newer = ceremony.create_keys(one.parameters, 2, SeededStream(b"newer"), generation=1)
    mixed = (one.public[0], newer, one.public[2])
    with pytest.raises(CeremonyFailed) as caught:
        ceremony.check_keys(one.parameters, mixed)
    assert caught.value.code == Code.GENERATION


def test_one_machine_posing_as_two_trustees_is_found() -> None:
    one = held()
    twin, keys = ceremony.create_keys(
        one.parameters, 2, SeededStream(b"twin"), signing_key=one.keys[0].signing_key
    )
    assert twin.signing_key is one.keys[0].signing_key
    fails(
        lambda: ceremony.check_keys(one.parameters, (one.public[0], keys, one.public[2])),
        Code.DUPLICATE,
        1,
        2,
    )


def test_bundle_key_made_from_anothers_is_refused() -> None:
    """CER-6: with EK_2 = 2 * EK_1, what is sealed to one could be opened through a complaint of the other."""
    one = held()
    for key in (one.public[0].bundle_key, RISTRETTO255.multiply(2, one.public[0].bundle_key)):
        for proof in (one.public[0].proof, one.public[1].proof):
            with pytest.raises(CeremonyFailed) as caught:
                ceremony.check_keys(one.parameters, resigned(one, 2, bundle_key=key, proof=proof))
            assert caught.value.culprits == (2,)


LOW_ORDER_X25519 = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


@pytest.mark.parametrize(
    "key", [*LOW_ORDER_X25519, b"\xee" + b"\xff" * 30 + b"\x7f", b"\xff" * 32], ids=lambda key: key.hex()[:8]
)
def test_keys_of_low_order_are_refused(key: bytes) -> None:
    """CER-7: nothing can be sealed to such a channel key, so its owner would stop every batch."""
    one = held()
    with pytest.raises(CeremonyFailed) as caught:
        ceremony.check_keys(one.parameters, resigned(one, 2, channel_key=key))
    assert caught.value.culprits == (2,)


@pytest.mark.parametrize("key", [b"\x01" + bytes(31), bytes(32), b"\xff" * 32], ids=lambda key: key.hex()[:8])
def test_verify_keys_of_low_order_are_refused(key: bytes) -> None:
    """CER-7."""
    one = held()
    public = (one.public[0], replace(one.public[1], verify_key=key), one.public[2])
    with pytest.raises(CeremonyFailed) as caught:
        ceremony.check_keys(one.parameters, public)
    assert caught.value.culprits == (2,)


def resign_hashes(one: Held, message: SubsetHashes, **change: object) -> SubsetHashes:
    altered = replace(message, **change)  # type: ignore[arg-type]
    return sign_message(altered, one.keys[message.index - 1].signing_key, Tag.SUBSET_KEY_HASH)


def test_holders_that_disagree_stop_the_ceremony() -> None:
    """CER-4: the holders of that one key are named, for one of them lied."""
    one = held(4, 2)
    _, hashes = one.all_combined()
    mine = prss.held_subsets(4, 2, 4)
    position = mine.index((2,))
    changed = list(hashes[3].hashes)
    changed[position] = bytes(32)
    lie = resign_hashes(one, hashes[3], hashes=tuple(changed))
    fails(lambda: one.manifest([*hashes[:3], lie]), Code.SUBSET_MISMATCH, 1, 3, 4)


def test_who_saw_other_dealings_is_named() -> None:
    """Attack: a board shows one trustee another dealing; their keys would differ."""
    one = held()
    _, hashes = one.all_combined()
    other = one.redealt(1)
    assert other != one.dealings[0]
    _, strange = one.combined(3, (other, *one.dealings[1:]))
    fails(lambda: one.manifest([*hashes[:2], strange]), Code.EQUIVOCATION, 3)


def test_hashes_missing_short_unsigned_or_from_outside_stop_the_ceremony() -> None:
    one = held()
    _, hashes = one.all_combined()
    short = resign_hashes(one, hashes[1], hashes=hashes[1].hashes[1:])
    fails(lambda: one.manifest([hashes[0], short, hashes[2]]), Code.DEALING, 2)
    fails(lambda: one.manifest(hashes[:2]), Code.DEALING)
    fails(lambda: one.manifest([]), Code.DEALING)
    with pytest.raises((VerificationFailed, CeremonyFailed)):
        one.manifest([hashes[0], hashes[1], replace(hashes[2], signature=bytes(64))])
    for outside in (0, 4, 255):
        stray = resign_hashes(one, replace(hashes[2], index=3), index=outside)
        with pytest.raises(CeremonyFailed):
            one.manifest([*hashes, stray])


def test_every_dealing_is_needed_in_order() -> None:
    one = held()
    _, hashes = one.all_combined()
    for dealings in (one.dealings[:2], one.dealings[::-1], (*one.dealings, one.dealings[0])):
        with pytest.raises(CeremonyFailed) as caught:
            ceremony.assemble_manifest(
                one.parameters, one.public, dealings, hashes, board_key=bytes(32), auditors=()
            )
        assert caught.value.code == Code.DEALING


def test_manifest_needs_every_signature_and_the_pinned_fingerprint() -> None:
    """CER-5."""
    one = held()
    signed = one.signed()
    fingerprint = signed.manifest.fingerprint
    assert Committee.verified(signed, fingerprint).fingerprint == fingerprint
    with pytest.raises(ContextMismatch) as mismatch:
        Committee.verified(signed, bytes(32))
    assert mismatch.value.code == Code.COMMITTEE
    first, second, third = signed.signatures
    for signatures in ((first, second), (), (first, second, third, third)):
        with pytest.raises(ContextMismatch):
            Committee.verified(replace(signed, signatures=signatures))
    for signatures in ((second, first, third), (first, second, bytes(64)), (first, first, first)):
        with pytest.raises(VerificationFailed) as caught:
            Committee.verified(replace(signed, signatures=signatures))
        assert caught.value.code == Code.SIGNATURE
    for change in (
        {"board_key": b"\x01" * 32},
        {"auditors": (bytes(32),)},
        {"generation": 1},
        {"previous": b"\x01" * 32},
        {"subset_key_hashes": signed.manifest.subset_key_hashes[::-1]},
        {"level_commitments": signed.manifest.level_commitments[::-1]},
    ):
        other = replace(signed.manifest, **change)  # type: ignore[arg-type]
        assert other.fingerprint != fingerprint
        with pytest.raises(VerificationFailed):
            Committee.verified(replace(signed, manifest=other))


def test_no_trustee_has_an_index_outside() -> None:
    committee = Committee.verified(held().signed())
    for index in (-1, 0, 4):
        with pytest.raises(ContextMismatch):
            committee.verify_key(index)


def test_context_of_subset_values_binds_everything_they_may_depend_on() -> None:
    """ENT-2: after a refresh or re-key under an unchanged context, two transcripts gave k_T away."""
    signed = held().signed()
    committee = Committee.verified(signed)
    other_row = replace(signed.manifest, level_commitments=signed.manifest.level_commitments[::-1])
    contexts = [
        committee.subset_context(bytes(32), 1, 2),
        committee.subset_context(b"\x01" * 32, 1, 2),
        committee.subset_context(bytes(32), 2, 2),
        committee.subset_context(bytes(32), 1, 3),
        Committee(replace(signed.manifest, generation=1), bytes(32)).subset_context(bytes(32), 1, 2),
        Committee(other_row, bytes(32)).subset_context(bytes(32), 1, 2),
    ]
    assert len(set(contexts)) == len(contexts)
    assert contexts[0] == Committee.verified(signed).subset_context(bytes(32), 1, 2)
