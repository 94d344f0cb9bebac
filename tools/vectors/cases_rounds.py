"""Cases for a batch: rounds, record, finder, release, log.

Owns who reports whom in the batch, and checks while the file is made that the
outputs are what the secrets say. Refuses to know how a batch is computed.
"""

from __future__ import annotations

from dataclasses import replace

from tools.vectors.book import Book
from tools.vectors.cases_filing import BOB, EVE
from tools.vectors.cases_sealing import flip
from tools.vectors.deployment import NOW, Deployment, Evaluation
from tools.vectors.op_committee import trustee_table
from tools.vectors.registry import Table, scalar_bytes

from notalone_crypto.messages.evaluation import CosignatureMessage, LogUpdate, PlanVote
from notalone_crypto.primitives import checkpoint, merkle, pedersen
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.primitives.hashing import hash_to_scalar
from notalone_crypto.protocol import file, log, statement
from notalone_crypto.protocol.keys import curve_bases
from notalone_crypto.protocol.signed import UNSIGNED, sign_message
from notalone_crypto.suite import Tag


def honest_batch(world: Deployment) -> Evaluation:
    """Two people about one subject, and one about another."""
    slot = world.slots[0]
    filings = [
        world.seal(1, world.report({slot: BOB}), "first filing"),
        world.seal(2, world.report({slot: BOB}), "second filing"),
        world.seal(5, world.report({slot: EVE}), "third filing"),
    ][: 3 if world.count == 3 else 2]
    return world.evaluate(filings, world.plan(filings))


def rounds(name: str, world: Deployment, done: Evaluation) -> Book:
    """Both rounds of one batch with every secret known, tampered messages, the record."""
    book = Book(
        f"rounds_{name}", f"Evaluation of a batch with {world.count} trustees, m = {world.threshold}."
    )
    signed = book.share("manifest", world.signed.encode())
    policy = book.share("policy", world.policy.encode())
    batch: Table = {
        "signed_manifest": signed,
        "policy": policy,
        "plan": book.share("plan", done.plan.encode()),
        "filings": [book.share(f"filing_{n}", one.filing.encode()) for n, one in enumerate(done.filings)],
        "acceptances": [
            [book.share(f"acceptance_{n}_{one.trustee}", one.encode()) for one in words]
            for n, words in enumerate(done.acceptances)
        ],
    }
    first, second = [], []
    x = book.share("x", [scalar_bytes(one) for one in done.xs])
    for index, secrets in world.secrets.items():
        trustee = book.share(f"trustee_{index}", trustee_table(secrets))
        made = book.good(
            f"one-{index}", "rounds.one", trustee=trustee, seed=world.draw_seed(f"round one {index}"), **batch
        )
        first.append(book.share(f"first_{index}", made["message"]))
        made = book.good(f"two-{index}", "rounds.two", trustee=trustee, x=x,
                         seed=world.draw_seed(f"round two {index}"), **batch)  # fmt: skip
        second.append(book.share(f"second_{index}", made["message"]))
    book.good("check-one", "rounds.check_one", messages=first, **batch)
    combined = book.good("combine-one", "rounds.combine_one", messages=first, **batch)
    book.good("check-two", "rounds.check_two", x=x, messages=second, **batch)
    curve = book.good("combine-two", "rounds.combine_two", threshold=world.threshold, messages=second,
                      products=combined["products"])["curve"]  # fmt: skip
    _tampered(book, world, done, batch)
    _from_secrets(book, world, done, curve)
    votes = [
        sign_message(
            PlanVote(done.plan.fingerprint, index, bytes([index]) * 32, UNSIGNED),
            secrets.signing_key,
            Tag.PLAN_VOTE,
        ).encode()
        for index, secrets in world.secrets.items()
    ]
    names = [one.header.entry for one in done.filings]
    made = book.good("record", "record.make", plan="$plan", votes=votes, first=first, second=second,
                     entry_names=names, x=x, curve=curve)  # fmt: skip
    for number, inclusion in enumerate(made["inclusions"]):
        found = book.good(
            f"inclusion-{number}", "record.check_inclusion", inclusion=inclusion, entry=names[number]
        )
        if found["leaf"] != made["leaf"]:
            raise ValueError("an inclusion does not lead to the leaf")
    book.bad("inclusion-other", "log.inclusion", "record.check_inclusion", inclusion=made["inclusions"][0],
             entry=names[1])  # fmt: skip
    return book


def _tampered(book: Book, world: Deployment, done: Evaluation, batch: Table) -> None:
    """Every value of a round, wrong in one place, convicts its sender."""
    one, two = done.first[2], done.second[2]
    key = world.secrets[2].signing_key
    opening = int.from_bytes(one.openings[0], "little")
    wrong_opening = (scalar_bytes(opening + 1), *one.openings[1:])
    wrong_duplicate = (RISTRETTO255.add(one.duplicates[0], RISTRETTO255.generator), *one.duplicates[1:])
    wrong_point = (RISTRETTO255.add(two.points[0], RISTRETTO255.generator), *two.points[1:])
    x = "$x"
    for kind, code, changed in (
        ("opening", "proof.invalid", replace(one, openings=wrong_opening)),
        ("duplicate", "proof.invalid", replace(one, duplicates=wrong_duplicate)),
        ("proof", "proof.invalid", replace(one, proof=one.proof[:-32] + bytes(32))),
        (
            "swapped",
            "proof.invalid",
            replace(one, openings=(one.openings[1], one.openings[0], *one.openings[2:])),
        ),
        ("copied", "proof.invalid", replace(done.first[1], trustee=2)),
        ("count", "encoding.length", replace(one, openings=one.openings[:-1])),
    ):
        signed = sign_message(changed, key, Tag.ROUND_ONE).encode()
        others = [f"$first_{index}" for index in world.secrets if index != 2]
        book.bad(f"check-one-{kind}", code, "rounds.check_one", messages=[signed, *others], **batch)
    for kind, code, message in (
        ("point", "proof.invalid", replace(two, points=wrong_point)),
        ("proof", "proof.invalid", replace(two, proof=two.proof[:-32] + bytes(32))),
        ("count", "encoding.length", replace(two, points=two.points[:-1])),
    ):
        signed = sign_message(message, key, Tag.ROUND_TWO).encode()
        book.bad(f"check-two-{kind}", code, "rounds.check_two", x=x, messages=[signed], **batch)


def _from_secrets(book: Book, world: Deployment, done: Evaluation, curve: list[str]) -> None:
    positions = statement.positions(world.policy)
    keys = {
        level: pedersen.interpolate(
            {index: own.level_shares[level].value for index, own in world.secrets.items()}, world.threshold
        )
        for level in world.levels
    }
    who, subjects = (1, 2, 5), (BOB, BOB, EVE)
    for number in range(len(done.filings)):
        report = world.report({world.slots[0]: subjects[number]})
        person = world.people[who[number]]
        scalars = file.identifier_scalars(world.committee, world.policy, person, report)
        for place, (slot, level) in enumerate(positions):
            made = book.good(
                f"from-secrets-{number}-{slot}-{level}",
                "rounds.from_secrets",
                signed_manifest="$manifest",
                scope=world.policy.scope,
                slot=slot,
                level=level,
                epoch=0,
                member_secret=scalar_bytes(person.secret),
                identifier=scalar_bytes(scalars[place]),
                level_key=scalar_bytes(keys[level]),
            )
            at = number * len(positions) + place
            if (made["x"], made["curve"]) != (scalar_bytes(done.xs[at]).hex(), curve[at]):
                raise ValueError("the rounds did not come to what the secrets say")


def finder(large: Deployment) -> Book:
    """Groups for given points at every level."""
    book = Book("finder", "Matching: points in order of arrival, events and groups at levels 2, 3, 4.")
    arrivals = {
        "pair-and-lone": [(1, "b"), (2, "e"), (3, "b")],
        "one-person-twice": [(1, "b"), (1, "b"), (2, "e")],
        "latecomers": [(number, "b") for number in range(1, 7)],
        "two-subjects": [(number, "be"[number % 2]) for number in range(1, 10)],
        "nobody": [(number, f"s{number}") for number in range(1, 6)],
        "twice-after-group": [(1, "b"), (2, "b"), (3, "b"), (4, "b"), (2, "b"), (1, "e")],
    }
    for level in large.levels:
        bases = curve_bases(large.committee, large.policy.scope, large.slots[0], level, 0)
        for name, people in arrivals.items():
            points = []
            for number, (person, subject) in enumerate(people):
                x = hash_to_scalar(Tag.POINT_X, bytes([person]), subject.encode())
                factor = hash_to_scalar(Tag.POINT_X, subject.encode())
                value = RISTRETTO255.multi_multiply(
                    [factor * pow(x, j, ORDER) for j in range(level - 1)], bases
                )
                points.append({"entry": bytes([number]) * 32, "x": scalar_bytes(x), "curve": value})
            book.good(f"{name}-{level}", "find.groups", level=level, points=points)
    book.bad("no-such-level", "encoding.range", "find.groups", level=5, points=[])
    one = {"entry": bytes(32), "x": scalar_bytes(7), "curve": RISTRETTO255.generator}
    book.bad("entry-twice", "state.duplicate", "find.groups", level=2, points=[one, one])
    for name, code, change in (
        ("identity", "encoding.identity", {"curve": bytes(32)}),
        ("bad-curve", "encoding.non_canonical", {"curve": b"\xff" * 32}),
        ("x-order", "encoding.range", {"x": ORDER.to_bytes(32, "little")}),
    ):
        book.bad(f"point-{name}", code, "find.groups", level=3, points=[{**one, **change}])
    return book


def release(world: Deployment, done: Evaluation) -> Book:
    """Who is due what, the items, and the log."""
    book = Book("release", "Releases and items after a match, and a trustee's view of the log.")
    signed = book.share("manifest", world.signed.encode())
    slot, scope = world.slots[0], world.policy.scope
    entries = [one.header.entry for one in done.filings[:2]]
    group = book.good("group", "release.group_name", scope=scope, slot=slot, level=2, founders=entries)[
        "name"
    ]
    book.good("group-order", "release.group_name", scope=scope, slot=slot, level=2, founders=entries[::-1])
    desk = world.seal(4, world.report({slot: BOB}, mode=file.ReleaseMode.COUNSELLOR), "desk")
    ready = world.seal(6, world.report({slot: BOB}, preconsent=True), "preconsent")
    headers = {
        "peers": [one.header for one in done.filings[:2]],
        "mixed": [done.filings[0].header, desk.header],
        "three": [done.filings[0].header, ready.header, desk.header],
    }
    for name, members in headers.items():
        book.good(f"due-{name}", "release.due", headers=[one.encode() for one in members], group=group)
    book.good("blob-context", "release.blob_context", signed_manifest=signed, scope=scope)
    due = {
        "recipient": desk.header.desk_key,
        "entry": entries[0],
        "content": 2,
        "group": group,
        "members": entries,
    }
    data = book.share("filing", done.filings[0].filing.encode())
    items = []
    for index, secrets in world.secrets.items():
        trustee = book.share(f"trustee_{index}", trustee_table(secrets))
        made = book.good(
            f"item-{index}",
            "release.make_item",
            signed_manifest=signed,
            trustee=trustee,
            filing=data,
            due=due,
            scope=scope,
            batch=1,
        )
        items.append(made["item"])
    for name, chosen in (
        ("all", items),
        ("two", items[1:]),
        ("one", items[:1]),
        ("one-twice", [items[0], items[0]]),
    ):
        book.good(f"open-{name}", "release.open_items", signed_manifest=signed, items=chosen)
    _log(book, world)
    return book


def _log(book: Book, world: Deployment) -> None:
    leaves = [log.policy_leaf(world.policy), b"\x01" * 32, b"\x02" * 32]
    tree = merkle.MerkleTree.of(leaves)
    origin = log.origin(world.committee)

    def note(size: int) -> bytes:
        head = checkpoint.Checkpoint(origin, size, tree.root(size))
        return checkpoint.sign_checkpoint(head, world.board).encode()

    book.good("log-names", "log.names", signed_manifest="$manifest", index=2)
    update = LogUpdate(note(3), 2, tree.inclusion_proof(2), tree.consistency_proof(1))
    view: Table = {"signed_manifest": "$manifest", "size": 1, "root": tree.root(1), "leaf": leaves[2]}
    book.good("log-update", "log.check_update", update=update.encode(), **view)
    forged = checkpoint.sign_checkpoint(checkpoint.Checkpoint(origin, 3, tree.root(3)), world.issuer).encode()
    other = checkpoint.sign_checkpoint(
        checkpoint.Checkpoint("another", 3, tree.root(3)), world.board
    ).encode()
    for name, code, changed, change in (
        ("leaf", "log.inclusion", update, {"leaf": leaves[1]}),
        ("rollback", "state.rollback", update, {"size": 4, "root": bytes(32)}),
        ("fork", "log.consistency", update, {"root": bytes(32)}),
        ("unsigned", "signature.invalid", replace(update, note=forged), {}),
        ("other-log", "log.fork", replace(update, note=other), {}),
        ("path", "log.inclusion", replace(update, inclusion=(flip(update.inclusion[0], 0),)), {}),
    ):
        book.bad(
            f"log-update-{name}", code, "log.check_update", update=changed.encode(), **{**view, **change}
        )
    lines = []
    for index, secrets in world.secrets.items():
        made = book.good(f"log-cosign-{index}", "log.cosign", signed_manifest="$manifest", index=index,
                         signing_seed=secrets.signing_key.seed, update=update.encode(), now=NOW)  # fmt: skip
        lines.append(CosignatureMessage.decode(bytes.fromhex(made["cosignature"])).line)
    leaf: Table = {
        "signed_manifest": "$manifest",
        "leaf": leaves[0],
        "index": 0,
        "inclusion": tree.inclusion_proof(0),
    }
    book.good("log-leaf", "log.check_leaf", note=note(3) + lines[0] + lines[2] + lines[1], **leaf)
    book.bad("log-leaf-quorum", "log.quorum", "log.check_leaf", note=note(3) + lines[0], **leaf)
    book.bad("log-leaf-other", "log.inclusion", "log.check_leaf", note=note(3) + b"".join(lines),
             **{**leaf, "leaf": leaves[1]})  # fmt: skip
