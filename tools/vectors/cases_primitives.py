"""Cases for group, hashing, commitments, shares and subset values.

Owns the choice of values. Refuses to know how they are computed. The group's
own third-party vectors (RFC 9496, RFC 9497) are read elsewhere and not copied.
"""

from __future__ import annotations

from tools.vectors.book import Book
from tools.vectors.registry import Table, scalar_bytes, scalar_of

from notalone_crypto.primitives import pedersen, prss
from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag

G = RISTRETTO255.generator
IDENTITY = RISTRETTO255.identity
BAD_ELEMENTS = {
    "identity": (IDENTITY, "encoding.identity"),
    "short": (G[:31], "encoding.length"),
    "long": (G + b"\x00", "encoding.length"),
    "empty": (b"", "encoding.length"),
    "all_ones": (b"\xff" * 32, "encoding.non_canonical"),
    "negative": (b"\x01" + bytes(31), "encoding.non_canonical"),
    "field_prime": ((2**255 - 19).to_bytes(32, "little"), "encoding.non_canonical"),
    "high_bit": (G[:31] + bytes([G[31] | 0x80]), "encoding.non_canonical"),
    "off_curve": (b"\x02" + bytes(31), "encoding.non_canonical"),
}


def group() -> Book:
    """Elements and scalars."""
    book = Book("group", "ristretto255: decoding, addition and multiplication, with every refusal.")
    stream = SeededStream(b"vectors/group")
    first, second = random_scalar(stream), random_scalar(stream)
    left, right = RISTRETTO255.base_multiply(first), RISTRETTO255.base_multiply(second)
    for name, (element, code) in BAD_ELEMENTS.items():
        book.bad(f"check-{name}", code, "group.check_element", element=element)
        if name != "identity":
            book.bad(f"add-{name}", code, "group.add", left=G, right=element)
            book.bad(f"subtract-{name}", code, "group.subtract", left=element, right=G)
            book.bad(f"negate-{name}", code, "group.negate", element=element)
            book.bad(f"multiply-{name}", code, "group.multiply", scalar=scalar_bytes(first), element=element)
            book.bad(f"multiply-zero-{name}", code, "group.multiply", scalar=bytes(32), element=element)
    book.good("check-generator", "group.check_element", element=G)
    book.good("check-random", "group.check_element", element=left)
    for operation in ("group.add", "group.subtract"):
        verb = operation.split(".")[1]
        book.good(f"{verb}-random", operation, left=left, right=right)
        book.good(f"{verb}-itself", operation, left=left, right=left)
        book.good(f"{verb}-identity-left", operation, left=IDENTITY, right=right)
        book.good(f"{verb}-identity-right", operation, left=left, right=IDENTITY)
        book.good(f"{verb}-identities", operation, left=IDENTITY, right=IDENTITY)
    book.good("add-inverse", "group.add", left=left, right=RISTRETTO255.negate(left))
    book.good("negate-random", "group.negate", element=left)
    book.good("negate-identity", "group.negate", element=IDENTITY)
    scalars = {
        "zero": 0, "one": 1, "two": 2, "eight": 8, "random": first, "largest": ORDER - 1,
        "order": ORDER, "above-order": ORDER + 5, "all-ones": 2**256 - 1,
    }  # fmt: skip
    for name, scalar in scalars.items():
        raw = scalar.to_bytes(32, "little")
        book.good(f"base-{name}", "group.base_multiply", scalar=raw)
        book.good(f"multiply-{name}", "group.multiply", scalar=raw, element=right)
        book.good(f"multiply-{name}-identity", "group.multiply", scalar=raw, element=IDENTITY)
        if scalar < ORDER:
            book.good(f"scalar-{name}", "group.decode_scalar", scalar=raw)
        else:
            book.bad(f"scalar-{name}", "encoding.non_canonical", "group.decode_scalar", scalar=raw)
    for length in (0, 31, 33, 64):
        book.bad(f"scalar-length-{length}", "encoding.length", "group.decode_scalar", scalar=bytes(length))
        book.bad(f"map-length-{length}", "encoding.length",
                 "group.from_uniform_bytes", data=bytes(length + 1))  # fmt: skip
    terms = [scalar_bytes(value) for value in (first, 0, second)]
    book.good("multi", "group.multi_multiply", scalars=terms, elements=[left, right, G])
    book.good("multi-empty", "group.multi_multiply", scalars=[], elements=[])
    book.bad("multi-counts", "encoding.length", "group.multi_multiply", scalars=terms, elements=[G])
    for number in range(3):
        book.good(f"map-{number}", "group.from_uniform_bytes", data=stream(64))
    return book


def hashing() -> Book:
    """Every tag under every hash."""
    book = Book("hashing", "Hashes and derivations under every registered tag; seeded streams.")
    key, parts = SeededStream(b"vectors/hashing")(32), [b"first", b"", b"third part"]
    for tag in Tag:
        name = tag.value
        book.good(f"digest-{name}", "hashing.digest", tag=name, parts=parts)
        book.good(f"group-{name}", "hashing.hash_to_group", tag=name, parts=parts)
        book.good(f"scalar-{name}", "hashing.hash_to_scalar", tag=name, parts=parts)
        book.good(f"derive-{name}", "hashing.derive", key=key, tag=name, parts=parts, length=40)
    for tag in (Tag.MEMBER_SECRET, Tag.SUBSET_VALUE):
        name = tag.value
        book.good(f"derive-scalar-{name}", "hashing.derive_scalar", key=key, tag=name, parts=parts)
    name = Tag.IDENTIFIER.value
    # The boundaries between parts count, or two different contexts would be one.
    for kind, other in {"none": [], "one-empty": [b""], "moved": [b"firs", b"t", b"third part"]}.items():
        book.good(f"digest-parts-{kind}", "hashing.digest", tag=name, parts=other)
        book.good(f"group-parts-{kind}", "hashing.hash_to_group", tag=name, parts=other)
        book.good(f"join-{kind}", "codec.join", parts=other)
    for length in (0, 1, 32, 64, 65, 200):
        book.good(f"derive-length-{length}", "hashing.derive", key=key, tag=name, parts=parts, length=length)
    book.bad(
        "derive-short-key", "encoding.length", "hashing.derive", key=key[:15], tag=name, parts=[], length=32
    )
    for length in (1, 32, 64, 65, 128, 1000):
        book.good(
            f"expand-{length}", "hashing.expand_message_xmd", message=b"message", dst=b"dst", length=length
        )
    for kind, dst, length in (
        ("no-dst", b"", 32), ("long-dst", bytes(256), 32), ("zero", b"d", 0), ("too-long", b"d", 16321),
    ):  # fmt: skip
        book.bad(
            f"expand-{kind}",
            "encoding.range",
            "hashing.expand_message_xmd",
            message=b"m",
            dst=dst,
            length=length,
        )
    book.good("stream", "randomness.seeded_stream", seed=b"seed", lengths=[16, 64, 0, 32])
    book.good("stream-empty-seed", "randomness.seeded_stream", seed=b"", lengths=[8, 8])
    book.good("random-scalar", "randomness.random_scalar", seed=b"seed")
    return book


def commitments() -> Book:
    """Commitments, verifiable sharing, interpolation."""
    book = Book(
        "pedersen", "Pedersen commitments and verifiable secret sharing, with bad shares and lengths."
    )
    stream = SeededStream(b"vectors/pedersen")
    value, blind = random_scalar(stream), random_scalar(stream)
    for name, pair in {"random": (value, blind), "zero-value": (0, blind), "zero-blind": (value, 0),
                       "zeros": (0, 0), "largest": (ORDER - 1, ORDER - 1)}.items():  # fmt: skip
        book.good(
            f"commit-{name}", "pedersen.commit", value=scalar_bytes(pair[0]), blind=scalar_bytes(pair[1])
        )
    for count, threshold in ((3, 2), (5, 3), (3, 1)):
        _sharing(book, count, threshold, value, blind)
    for threshold in (0, 4):
        book.bad(f"deal-threshold-{threshold}", "encoding.range", "pedersen.deal", value=scalar_bytes(value),
                 blind=scalar_bytes(blind), threshold=threshold, count=3, seed=b"x")  # fmt: skip
    for indices in ([1], [1, 2], [1, 3], [2, 3], [1, 2, 3], [2, 4, 5], [1, 2, 3, 4, 5], [9, 7, 1]):
        name = "-".join(map(str, indices))
        book.good(f"lagrange-{name}", "pedersen.lagrange_at_zero", indices=indices)
    book.bad("lagrange-twice", "encoding.range", "pedersen.lagrange_at_zero", indices=[1, 1])
    book.bad("lagrange-zero", "encoding.range", "pedersen.lagrange_at_zero", indices=[0, 1])
    return book


def _sharing(book: Book, count: int, threshold: int, value: int, blind: int) -> None:
    name = f"{count}-{threshold}"
    dealt = book.good(f"deal-{name}", "pedersen.deal", value=scalar_bytes(value), blind=scalar_bytes(blind),
                      threshold=threshold, count=count, seed=name.encode())  # fmt: skip
    row, shares = dealt["commitments"], dealt["shares"]
    for share in shares:
        book.good(f"share-commitment-{name}-{share['index']}", "pedersen.share_commitment",
                  commitments=row, index=share["index"])  # fmt: skip
    common = {"commitments": row, "threshold": threshold}
    book.good(f"verify-{name}", "pedersen.verify_share", share=shares[-1], **common)
    wrong = {**shares[0], "value": scalar_bytes(scalar_of(shares[0]["value"]) + 1).hex()}
    wrong_blind = {**shares[0], "blind": scalar_bytes(scalar_of(shares[0]["blind"]) + 1).hex()}
    book.bad(f"verify-value-{name}", "share.invalid", "pedersen.verify_share", share=wrong, **common)
    book.bad(f"verify-blind-{name}", "share.invalid", "pedersen.verify_share", share=wrong_blind, **common)
    if threshold > 1:
        moved = {**shares[0], "index": 2}
        book.bad(f"verify-index-{name}", "share.invalid", "pedersen.verify_share", share=moved, **common)
    for kind, bad_row in {
        "long": [*row, row[0]],
        "short": row[:-1],
        "identity": [*row, IDENTITY.hex()],
    }.items():
        book.bad(f"verify-{kind}-row-{name}", "share.commitment_length", "pedersen.verify_share",
                 commitments=bad_row, threshold=threshold, share=shares[0])  # fmt: skip
        book.bad(f"recover-{kind}-row-{name}", "share.commitment_length", "pedersen.recover",
                 commitments=bad_row, threshold=threshold, shares=shares)  # fmt: skip
    weights = [scalar_bytes(2**127 + 3), scalar_bytes(2**126 + 5)]
    batch: Table = {"rows": [row, row], "threshold": threshold, "weights": weights}
    book.good(f"verify-many-{name}", "pedersen.verify_shares", shares=[shares[0], shares[0]], **batch)
    book.bad(
        f"verify-many-bad-{name}",
        "share.invalid",
        "pedersen.verify_shares",
        shares=[shares[0], wrong],
        **batch,
    )
    book.bad(f"verify-many-mixed-{name}", "encoding.range", "pedersen.verify_shares",
             shares=[shares[0], shares[1]], **batch)  # fmt: skip
    chosen = shares[-threshold:]
    book.good(f"interpolate-{name}", "pedersen.interpolate", shares=chosen, count=threshold)
    book.bad(f"interpolate-few-{name}", "encoding.length", "pedersen.interpolate",
             shares=chosen[1:], count=threshold)  # fmt: skip
    book.good(
        f"interpolate-elements-{name}", "pedersen.interpolate_elements",
        indices=[share["index"] for share in chosen],
        elements=[RISTRETTO255.base_multiply(scalar_of(share["value"])) for share in chosen], count=threshold,
    )  # fmt: skip
    book.good(f"recover-{name}", "pedersen.recover", shares=shares, **common)
    if count > threshold:
        book.good(
            f"recover-past-a-bad-share-{name}", "pedersen.recover", shares=[wrong, *shares[1:]], **common
        )
    book.bad(f"recover-too-few-{name}", "share.invalid", "pedersen.recover",
             shares=[wrong, *shares[1:threshold]], **common)  # fmt: skip


def subset_values() -> Book:
    """Subset keys and what is drawn from them, for three and five trustees."""
    book = Book("prss", "Pseudorandom secret sharing and zero-sharing from subset keys.")
    for count, threshold in ((3, 2), (5, 3)):
        stream = SeededStream(f"vectors/prss/{count}".encode())
        keys = {subset: stream(32) for subset in prss.subsets(count, threshold)}
        context = stream(32)
        rows = []
        for subset, key in keys.items():
            name = f"{count}-{threshold}-of-{'-'.join(map(str, subset))}"
            book.good(f"key-hash-{name}", "prss.subset_key_hash", key=key, subset=list(subset))
            drawn = [
                book.good(
                    f"value-{name}-{number}", "prss.subset_value", key=key, context=context, position=number
                )
                for number in range(threshold)
            ]
            rows.append([one["commitment"] for one in drawn])
        masks, zeros = {}, {}
        for index in range(1, count + 1):
            name = f"{count}-{threshold}-for-{index}"
            listed = book.good(
                f"subsets-{name}", "prss.subsets", count=count, threshold=threshold, holder=index
            )
            held = [keys[tuple(subset)] for subset in listed["held"]]
            where = {"count": count, "threshold": threshold, "index": index}
            made = book.good(f"shares-{name}", "prss.shares", keys=held, context=context, **where)
            public = book.good(f"share-commitments-{name}", "prss.share_commitments", rows=rows, **where)
            masks[index], zeros[index] = made["mask"], made["zero"]
            _opens(public, made)
        # The laws the values stand for, checked while the file is made.
        if pedersen.interpolate({i: scalar_of(one["value"]) for i, one in zeros.items()}, 2 * threshold - 1):
            raise ValueError("zero shares do not add up to zero")
        values = {index: scalar_of(one["value"]) for index, one in masks.items()}
        tail = {index: value for index, value in values.items() if index > count - threshold}
        if pedersen.interpolate(values, threshold) != pedersen.interpolate(tail, threshold):
            raise ValueError("mask shares have too high a degree")
    return book


def _opens(public: Table, made: Table) -> None:
    for name in ("mask", "zero"):
        share = made[name]
        if pedersen.commit(scalar_of(share["value"]), scalar_of(share["blind"])).hex() != public[name]:
            raise ValueError(f"a {name} share does not open its public commitment")
