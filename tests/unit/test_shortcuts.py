"""What is done once instead of twice must give the same bytes and refuse the same things."""

from dataclasses import replace

import pytest
from tests.support.world import World

from notalone_crypto.errors import Code, MalformedInput, VerificationFailed
from notalone_crypto.messages.filing import Withdrawal
from notalone_crypto.messages.wire import name_of
from notalone_crypto.primitives import pedersen, sigma
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.primitives.linear import LinearRelation
from notalone_crypto.primitives.pedersen import BLINDING_GENERATOR
from notalone_crypto.protocol.rounds import Batch, Item, check_round_one, make_round_one
from notalone_crypto.randomness import SeededStream
from notalone_crypto.suite import Tag


def opened_product(shift: int | None) -> tuple[LinearRelation, list[int]]:
    """`product = factor * opened + rest * H`, where the prover knows that `opened` is 5G + 7H."""
    opened = pedersen.commit(5, 7)
    factor, rest = 11, 13
    product = RISTRETTO255.multi_multiply([factor, rest], [opened, BLINDING_GENERATOR])
    relation = LinearRelation(RISTRETTO255)
    one, two = relation.scalars(2)
    relation.equation(product, (one, opened), (two, BLINDING_GENERATOR))
    if shift is not None:
        relation.shortcut(lambda at: pedersen.commit(at[0] * (5 + shift), at[0] * 7 + at[1]))
    return relation, [factor, rest]


def test_a_shortcut_changes_no_byte_of_a_proof() -> None:
    plain, witness = opened_product(None)
    short, _ = opened_product(0)
    proofs = [sigma.prove(b"s", [one], [witness], SeededStream(b"same")) for one in (plain, short)]
    assert proofs[0] == proofs[1]
    sigma.verify(b"s", [plain], proofs[0])


def test_a_shortcut_to_another_element_convinces_nobody() -> None:
    plain, witness = opened_product(None)
    wrong, _ = opened_product(1)
    proof = sigma.prove(b"s", [wrong], [witness], SeededStream(b"same"))
    with pytest.raises(VerificationFailed):
        sigma.verify(b"s", [plain], proof)


def test_a_verifier_that_has_a_shortcut_does_not_use_it() -> None:
    plain, witness = opened_product(None)
    wrong, _ = opened_product(1)
    sigma.verify(b"s", [wrong], sigma.prove(b"s", [plain], [witness], SeededStream(b"same")))


def test_a_wrong_stored_share_is_caught_like_any_false_proof() -> None:
    """The product's shortcut uses stored shares: a corrupted one must not pass its trustee's proof."""
    world = World()
    world.file(1, b"bob")
    world.deliver(world.start_batch())
    live = next(iter(world.scope_of(1).live.values()))
    plan = world.scope_of(1).batch.plan
    work = Batch(world.committee, world.policy, plan, (Item(live.public, True),))
    check_round_one(work, [make_round_one(work, world.secrets[1], [live.secrets], world.randomness)])
    first, *others = live.secrets.shares.identifiers
    shares = replace(live.secrets.shares, identifiers=(replace(first, blind=first.blind + 1), *others))
    bad = make_round_one(work, world.secrets[1], [replace(live.secrets, shares=shares)], world.randomness)
    with pytest.raises(VerificationFailed) as refused:
        check_round_one(work, [bad])
    assert refused.value.culprits == (1,)


def test_a_copy_with_another_field_checks_that_field() -> None:
    message = Withdrawal(bytes(32), bytes(64))
    assert message.with_field("signature", b"s" * 64) == replace(message, signature=b"s" * 64)
    with pytest.raises(MalformedInput) as refused:
        message.with_field("signature", b"s" * 63)
    assert refused.value.code == Code.LENGTH


def test_remembered_names_belong_to_one_message_and_purpose() -> None:
    one, two = Withdrawal(bytes(32), bytes(64)), Withdrawal(bytes(32), b"s" * 64)
    names = {
        name_of(Tag.HEADER, one),
        name_of(Tag.HEADER, two),
        name_of(Tag.FILING, one),
        name_of(Tag.HEADER, one, b"x"),
    }
    assert len(names) == 4
    assert name_of(Tag.HEADER, one) == name_of(Tag.HEADER, replace(two, signature=bytes(64)))
