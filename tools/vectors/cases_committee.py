"""Cases for the ceremony, the manifest and what is derived from it, and the rules across their fields.

Owns the choice of dishonest dealings and complaints. Refuses to know wire
encodings (cases_wire).
"""

from __future__ import annotations

from dataclasses import replace

from tools.vectors.book import Book
from tools.vectors.cases_sealing import flip
from tools.vectors.deployment import Deployment
from tools.vectors.op_committee import keys_table
from tools.vectors.op_wire import fields_of
from tools.vectors.registry import Table, scalar_of

from notalone_crypto.messages.wire import Message
from notalone_crypto.primitives.pedersen import commit
from notalone_crypto.protocol.signed import sign_message
from notalone_crypto.suite import Tag


def committee(world: Deployment, large: Deployment) -> Book:
    """Ceremony and manifest for three and five trustees."""
    book = Book("committee", "Key ceremony, dealings, complaints, manifest, and points derived from it.")
    for name, one in (("3-2", world), ("5-3", large)):
        _ceremony(book, name, one)
        signed = book.share(f"manifest_{name.replace('-', '_')}", one.signed.encode())
        fingerprint = one.manifest.fingerprint
        book.good(f"verify-{name}", "committee.verify", signed_manifest=signed, pinned=fingerprint)
        book.good(f"verify-unpinned-{name}", "committee.verify", signed_manifest=signed, pinned=b"")
        book.bad(f"verify-pinned-other-{name}", "context.committee", "committee.verify",
                 signed_manifest=signed, pinned=bytes(32))  # fmt: skip
        signatures = one.signed.signatures
        bad_signature = replace(one.signed, signatures=(flip(signatures[0], 3), *signatures[1:]))
        book.bad(f"verify-signature-{name}", "signature.invalid", "committee.verify",
                 signed_manifest=bad_signature.encode(), pinned=b"")  # fmt: skip
        too_few = replace(one.signed, signatures=signatures[:-1])
        book.bad(f"verify-unsigned-{name}", "context.committee", "committee.verify",
                 signed_manifest=too_few.encode(), pinned=b"")  # fmt: skip
        book.good(f"policy-{name}", "policy.names", policy=one.policy.encode())
        scope, entry = one.policy.scope, bytes(range(32))
        for slot in one.slots:
            for level in one.levels:
                for epoch in (0, 1):
                    book.good(f"bases-{name}-{slot}-{level}-{epoch}", "keys.bases", signed_manifest=signed,
                              scope=scope, slot=slot, level=level, epoch=epoch)  # fmt: skip
                book.good(f"context-{name}-{slot}-{level}", "keys.subset_context", signed_manifest=signed,
                          entry=entry, slot=slot, level=level)  # fmt: skip
        for index in (0, 11):
            book.good(f"quota-{name}-{index}", "keys.quota_base", signed_manifest=signed, scope=scope,
                      period=one.period, index=index)  # fmt: skip
    _disputes(book, world)
    return book


def _ceremony(book: Book, name: str, one: Deployment) -> None:
    tag = name.replace("-", "_")
    parameters = book.share(f"parameters_{tag}", one.parameters.encode())
    public = [book.share(f"public_{tag}_{keys.index}", keys.encode()) for keys in one.public]
    dealings = [book.share(f"dealing_{tag}_{dealing.dealer}", dealing.encode()) for dealing in one.dealings]
    book.good(f"identifier-{name}", "committee.identifier", parameters=parameters)
    for index in range(1, one.count + 1):
        made = book.good(f"keys-{name}-{index}", "ceremony.create_keys", parameters=parameters, index=index,
                         seed=one.draw_seed(f"trustee {index}"))  # fmt: skip
        keys = book.share(f"keys_{tag}_{index}", made["keys"])
        book.good(f"deal-{name}-{index}", "ceremony.deal", parameters=parameters, keys=keys, public=public,
                  index=index, seed=one.draw_seed(f"dealing {index}"))  # fmt: skip
        book.good(f"check-dealing-{name}-{index}", "ceremony.check_dealing", parameters=parameters,
                  public=public, dealing=dealings[index - 1])  # fmt: skip
        for dealer, dealing in enumerate(dealings, start=1):
            if dealer not in {1, index, one.count}:
                continue  # the rest differs in nothing but size
            book.good(f"open-{name}-{dealer}-by-{index}", "ceremony.open_dealing", parameters=parameters,
                      keys=keys, index=index, dealing=dealing)  # fmt: skip
        book.good(
            f"combine-{name}-{index}",
            "ceremony.combine",
            parameters=parameters,
            keys=keys,
            index=index,
            dealings=dealings,
        )
    book.good(f"check-keys-{name}", "ceremony.check_keys", parameters=parameters, public=public)
    auditors = list(one.manifest.auditors)
    book.good(f"assemble-{name}", "ceremony.assemble_manifest", parameters=parameters, public=public,
              dealings=dealings, hashes=[hashes.encode() for hashes in one.hashes],
              board_key=one.board.verify_key, auditors=auditors)  # fmt: skip
    for index, keys in enumerate(one.keys, start=1):
        book.good(f"sign-manifest-{name}-{index}", "ceremony.sign_manifest", manifest=one.manifest.encode(),
                  signing_seed=keys.signing_key.seed)  # fmt: skip


def _disputes(book: Book, world: Deployment) -> None:
    public = [f"$public_3_2_{index}" for index in (1, 2, 3)]
    base: Table = {"parameters": "$parameters_3_2", "public": public}
    first, second, third = world.public
    book.bad("keys-missing", "ceremony.parameters", "ceremony.check_keys", **{**base, "public": public[:2]})
    unsigned = replace(first, signature=flip(first.signature, 1))
    book.bad("keys-signature", "signature.invalid", "ceremony.check_keys",
             **{**base, "public": [unsigned.encode(), *public[1:]]})  # fmt: skip
    copied = sign_message(
        replace(second, bundle_key=first.bundle_key), world.keys[1].signing_key, Tag.TRUSTEE_KEYS
    )
    book.bad("keys-copied-bundle-key", "proof.invalid", "ceremony.check_keys",
             **{**base, "public": [public[0], copied.encode(), public[2]]})  # fmt: skip
    box = sign_message(
        replace(third, channel_key=first.channel_key), world.keys[2].signing_key, Tag.TRUSTEE_KEYS
    )
    book.bad("keys-copied-channel-key", "state.duplicate", "ceremony.check_keys",
             **{**base, "public": [*public[:2], box.encode()]})  # fmt: skip
    dealing, key = world.dealings[0], world.keys[0].signing_key
    longer = tuple((*row, row[0]) for row in dealing.commitments)
    variants: dict[str, tuple[str, Message]] = {
        "degree": (
            "share.commitment_length",
            sign_message(replace(dealing, commitments=longer), key, Tag.DEALING),
        ),
        "parts": (
            "ceremony.dealing",
            sign_message(replace(dealing, sealed=dealing.sealed[:-1]), key, Tag.DEALING),
        ),
        "signature": ("signature.invalid", replace(dealing, signature=flip(dealing.signature, 1))),
        "dealer": ("ceremony.dealing", replace(dealing, dealer=7)),
        "committee": (
            "context.committee",
            sign_message(replace(dealing, committee=bytes(32)), key, Tag.DEALING),
        ),
    }
    for name, (code, bad) in variants.items():
        book.bad(f"dealing-{name}", code, "ceremony.check_dealing", dealing=bad.encode(), **base)
    spoiled = sign_message(
        replace(dealing, sealed=(dealing.sealed[0], flip(dealing.sealed[1], 60), dealing.sealed[2])),
        key,
        Tag.DEALING,
    )
    other_row = (commit(5, 6), *dealing.commitments[0][1:])
    skewed = sign_message(
        replace(dealing, commitments=(other_row, *dealing.commitments[1:])), key, Tag.DEALING
    )
    victim = book.share("victim", keys_table(world.keys[1]))
    for name, bad in (("sealed", spoiled), ("skewed", skewed)):
        book.bad(f"open-{name}", "ceremony.dealing", "ceremony.open_dealing", parameters="$parameters_3_2",
                 keys=victim, index=2, dealing=bad.encode())  # fmt: skip
        made = book.good(f"complain-{name}", "ceremony.complain", parameters="$parameters_3_2", keys=victim,
                         index=2, dealing=bad.encode(), seed=name.encode())  # fmt: skip
        verdict = book.good(f"judge-{name}", "ceremony.judge", dealing=bad.encode(),
                            complaint=made["complaint"], **base)  # fmt: skip
        if verdict["culprits"] != [1]:
            raise ValueError("the verdict does not name the dealer")
    lie = book.good(
        "complain-falsely",
        "ceremony.complain",
        parameters="$parameters_3_2",
        keys=victim,
        index=2,
        dealing="$dealing_3_2_1",
        seed=b"lie",
    )
    verdict = book.good(
        "judge-lie", "ceremony.judge", dealing="$dealing_3_2_1", complaint=lie["complaint"], **base
    )
    if verdict["culprits"] != [2]:
        raise ValueError("the verdict does not name the accuser")
    if scalar_of(keys_table(world.keys[1])["bundle_secret"].hex()) != world.keys[1].bundle_key.secret:
        raise ValueError("a scalar did not survive its JSON form")
    hashes = [one.encode() for one in world.hashes]
    lying = sign_message(
        replace(world.hashes[0], hashes=(bytes(32), *world.hashes[0].hashes[1:])), key, Tag.SUBSET_KEY_HASH
    )
    elsewhere = sign_message(replace(world.hashes[0], dealings=bytes(32)), key, Tag.SUBSET_KEY_HASH)
    for name, code, changed in (
        ("subset-lie", "committee.subset_mismatch", [lying.encode(), *hashes[1:]]),
        ("other-dealings", "state.equivocation", [elsewhere.encode(), *hashes[1:]]),
        ("hashes-missing", "ceremony.dealing", hashes[:2]),
    ):
        book.bad(
            f"assemble-{name}",
            code,
            "ceremony.assemble_manifest",
            dealings=[f"$dealing_3_2_{i}" for i in (1, 2, 3)],
            hashes=changed,
            board_key=world.board.verify_key,
            auditors=[],
            **base,
        )


def rules(world: Deployment) -> dict[str, tuple[str, str, Table]]:
    """Rules across fields: name of the case -> code, message, fields."""
    parameters, policy, manifest = (
        fields_of(world.parameters),
        fields_of(world.policy),
        fields_of(world.manifest),
    )
    bad_parameters: dict[str, Table] = {
        "one-name-twice": {"trustees": ["a", "a", "b"]},
        "two-trustees": {"trustees": ["a", "b"]},
        "threshold-one": {"threshold": 1},
        "threshold-high": {"threshold": 3},
        "level-two-alone": {"levels": [2]},
        "levels-gap": {"levels": [2, 4]},
        "levels-order": {"levels": [3, 2]},
    }
    bad_policies: dict[str, Table] = {
        "no-organisation": {"organisations": []},
        "no-slot": {"slots": []},
        "no-desk": {"desks": []},
        "no-mode": {"release_modes": []},
        "slot-twice": {"slots": [1, 1]},
        "unknown-mode": {"release_modes": [3]},
        "levels": {"levels": [2]},
        "quota": {"quota": 11},
        "period": {"period_days": 0},
        "weeks": {"maximum_weeks": 0},
        "blobs": {"release_blobs": 0},
    }
    trustees, rows = manifest["trustees"], manifest["level_commitments"]
    bad_manifests: dict[str, tuple[str, Table]] = {
        "order": ("ceremony.manifest", {"trustees": [trustees[1], trustees[0], trustees[2]]}),
        "missing": ("ceremony.manifest", {"trustees": trustees[:2]}),
        "degree": ("share.commitment_length", {"level_commitments": [[*rows[0], rows[0][0]], *rows[1:]]}),
        "rows": ("share.commitment_length", {"level_commitments": rows[:1]}),
    }
    found: dict[str, tuple[str, str, Table]] = {}
    for name, change in bad_parameters.items():
        found[f"parameters-{name}"] = ("ceremony.parameters", "CommitteeParameters", {**parameters, **change})
    for name, change in bad_policies.items():
        found[f"policy-{name}"] = ("context.policy", "ScopePolicy", {**policy, **change})
    for name, (code, change) in bad_manifests.items():
        found[f"manifest-{name}"] = (code, "Manifest", {**manifest, **change})
    return found
