"""Cases for the Merkle tree and checkpoints.

Owns the choice of trees and notes. Refuses to know how they are computed.
"""

from __future__ import annotations

import base64

from tools.vectors.book import Book
from tools.vectors.cases_sealing import flip
from tools.vectors.registry import Table

from notalone_crypto.primitives import merkle
from notalone_crypto.randomness import SeededStream

LEAVES = 9


def tree() -> Book:
    """Roots, paths, consistency, for every size up to nine."""
    book = Book("merkle", "RFC 9162 Merkle trees: roots, inclusion and consistency, and refusals.")
    leaves = [b"", *(bytes([number]) * number for number in range(1, LEAVES))]
    listed = book.share("leaves", leaves)
    for number, leaf in enumerate(leaves[:3]):
        book.good(f"leaf-{number}", "merkle.leaf_hash", leaf=leaf)
    roots = [
        book.good(f"root-{size}", "merkle.root", leaves=listed, size=size)["root"]
        for size in range(LEAVES + 1)
    ]
    book.bad("root-too-large", "encoding.range", "merkle.root", leaves=listed, size=LEAVES + 1)
    for index, size in (
        (0, 1),
        (0, 2),
        (1, 2),
        (2, 3),
        (0, 5),
        (4, 5),
        (5, 6),
        (3, 8),
        (8, 9),
        (0, 9),
        (6, 7),
    ):
        name = f"{index}-of-{size}"
        path = book.good(f"path-{name}", "merkle.inclusion_proof", leaves=listed, index=index, size=size)[
            "proof"
        ]
        leaf = merkle.leaf_hash(leaves[index])
        good: Table = {"root": roots[size], "size": size, "index": index, "leaf_hash": leaf, "proof": path}
        book.good(f"included-{name}", "merkle.verify_inclusion", **good)
        changes: dict[str, Table] = {
            "leaf": {"leaf_hash": flip(leaf, 0)},
            "index": {"index": index + 1},
            "long": {"proof": [*path, path[0] if path else leaf.hex()]},
            "root": {"root": roots[0]},
            "negative": {"index": -1},
        }
        if path:
            changes["short"] = {"proof": path[:-1]}
            changes["node"] = {"proof": [flip(bytes.fromhex(path[0]), 9), *path[1:]]}
            changes["node-length"] = {"proof": [path[0][:-2], *path[1:]]}
        for kind, change in changes.items():
            book.bad(
                f"included-{name}-{kind}", "log.inclusion", "merkle.verify_inclusion", **{**good, **change}
            )
    book.bad("path-outside", "encoding.range", "merkle.inclusion_proof", leaves=listed, index=3, size=3)
    for first, second in ((0, 5), (1, 2), (1, 9), (2, 3), (3, 7), (4, 8), (6, 8), (7, 9), (5, 5), (8, 9)):
        name = f"{first}-to-{second}"
        proof = book.good(f"grow-{name}", "merkle.consistency_proof", leaves=listed, first=first,
                          second=second)["proof"]  # fmt: skip
        good = {
            "first": first,
            "first_root": roots[first],
            "second": second,
            "second_root": roots[second],
            "proof": proof,
        }
        book.good(f"consistent-{name}", "merkle.verify_consistency", **good)
        changes = {
            "first-root": {"first_root": roots[9 if first != 9 else 8]},
            "long": {"proof": [*proof, roots[1]]},
            "shrink": {"first": second + 1},
        }
        if proof:
            changes["short"] = {"proof": proof[:-1]}
            changes["second-root"] = {"second_root": roots[0]}
            changes["empty"] = {"proof": []}
        for kind, change in changes.items():
            book.bad(
                f"consistent-{name}-{kind}",
                "log.consistency",
                "merkle.verify_consistency",
                **{**good, **change},
            )
    book.bad("grow-backwards", "encoding.range", "merkle.consistency_proof", leaves=listed, first=4, second=3)
    return book


def checkpoints() -> Book:
    """Notes, cosignatures, quorums."""
    book = Book("checkpoint", "C2SP checkpoints: text, signatures, cosignatures, quorum, strict parsing.")
    stream = SeededStream(b"vectors/checkpoint")
    head: Table = {"origin": "notalone/vectors", "size": 7, "root": stream(32)}
    seeds = {"log": stream(32), "t1": stream(32), "t2": stream(32), "t3": stream(32)}
    book.good("text", "checkpoint.text", **head)
    book.good("text-empty", "checkpoint.text", origin="a", size=0, root=merkle.EMPTY_ROOT)
    for name, code, change in (
        ("empty-root", "encoding.non_canonical", {"size": 0}),
        ("negative", "encoding.range", {"size": -1}),
        ("too-large", "encoding.range", {"size": 2**63}),
        ("short-root", "encoding.length", {"root": bytes(31)}),
        ("no-origin", "encoding.length", {"origin": ""}),
        ("long-origin", "encoding.length", {"origin": "a" * 256}),
        ("space", "encoding.text", {"origin": "a b"}),
        ("plus", "encoding.text", {"origin": "a+b"}),
        ("newline", "encoding.text", {"origin": "a\nb"}),
    ):
        book.bad(f"text-{name}", code, "checkpoint.text", **{**head, **change})
    signed = book.good("sign", "checkpoint.sign", seed=seeds["log"], **head)["note"]
    lines, cosigners = {}, {}
    for number, name in enumerate(("t1", "t2", "t3")):
        named = f"notalone/vectors/{name}"
        made = book.good(
            f"cosign-{name}", "checkpoint.cosign", name=named, seed=seeds[name], time=1000 + number, **head
        )
        lines[name] = made["line"]
        cosigners[named] = book.good(f"key-{name}", "signing.public_key", seed=seeds[name])["verify_key"]
    book.bad(
        "cosign-time", "encoding.range", "checkpoint.cosign", name="t", seed=seeds["t1"], time=-1, **head
    )
    log_key = book.good("key-log", "signing.public_key", seed=seeds["log"])["verify_key"]
    full = signed + lines["t1"] + lines["t2"]
    book.good("decode", "checkpoint.decode", note=full.encode())
    _parsing(book, full)
    good: Table = {
        "note": full.encode(),
        "origin": head["origin"],
        "log_key": log_key,
        "cosigners": cosigners,
        "quorum": 2,
    }
    book.good("quorum", "checkpoint.verify_quorum", **good)
    other = book.good(
        "cosign-stranger", "checkpoint.cosign", name="stranger", seed=seeds["t3"], time=5, **head
    )
    start, _, body = lines["t2"].strip().rpartition(" ")
    raw = base64.b64decode(body)
    wrong = f"{start} {base64.b64encode(flip(raw, len(raw) - 1)).decode()}\n"
    for name, code, change in (
        ("too-few", "log.quorum", {"quorum": 3}),
        ("one-twice", "log.quorum", {"note": (signed + lines["t1"] + lines["t1"]).encode()}),
        ("stranger", "log.quorum", {"note": (signed + lines["t1"] + other["line"]).encode()}),
        ("other-origin", "log.fork", {"origin": "notalone/other"}),
        ("log-unsigned", "signature.invalid", {"log_key": seeds["t1"].hex()}),
        ("bad-cosignature", "signature.invalid", {"note": (signed + lines["t1"] + wrong).encode()}),
        ("no-quorum", "encoding.range", {"quorum": 0}),
        ("one-key-twice", "state.duplicate", {"cosigners": {**cosigners, "copy": log_key}}),
    ):
        book.bad(f"quorum-{name}", code, "checkpoint.verify_quorum", **{**good, **change})
    for trustees in range(3, 10):
        threshold = (trustees + 1) // 2
        book.good(f"quorum-size-{trustees}", "checkpoint.quorum_size", trustees=trustees, threshold=threshold)
    book.bad("quorum-size-bad", "encoding.range", "checkpoint.quorum_size", trustees=3, threshold=4)
    return book


def _parsing(book: Book, full: str) -> None:
    rows = full.split("\n")
    size_row = "\n".join([rows[0], "07", *rows[2:]])
    extension = "\n".join([*rows[:3], "extension", *rows[3:]])
    for name, code, text in (
        ("empty", "encoding.truncated", ""),
        ("no-newline", "encoding.truncated", full[:-1]),
        ("no-signature", "encoding.truncated", "\n".join(rows[:3]) + "\n"),
        ("leading-zero", "encoding.non_canonical", size_row),
        ("extension", "encoding.trailing", extension),
        ("carriage-return", "encoding.non_canonical", full.replace("7\n", "7\r\n", 1)),
        ("hyphen", "encoding.non_canonical", full.replace("\u2014", "-", 1)),
        ("blank-line", "encoding.non_canonical", full + "\n"),
        ("base64", "encoding.non_canonical", full.replace(rows[2], rows[2][:-1] + "!", 1)),
    ):
        book.bad(f"decode-{name}", code, "checkpoint.decode", note=text.encode())
    book.bad("decode-utf8", "encoding.text", "checkpoint.decode", note=b"\xff" + full.encode())
