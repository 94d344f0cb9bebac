"""Cases for sealing, padding, the provable KEM, key checks and signatures.

Owns the choice of values. Refuses to know how they are computed.
"""

from __future__ import annotations

from tools.vectors.book import Book
from tools.vectors.cases_primitives import BAD_ELEMENTS
from tools.vectors.registry import scalar_bytes

from notalone_crypto.primitives.group import ORDER, RISTRETTO255
from notalone_crypto.randomness import SeededStream, random_scalar
from notalone_crypto.suite import Tag


def flip(data: bytes, position: int) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def sealing() -> Book:
    """AEAD and padding."""
    book = Book("sealing", "Committing authenticated encryption and padding.")
    stream = SeededStream(b"vectors/sealing")
    key, context = stream(32), stream(32)
    for length in (0, 1, 64, 300):
        plaintext = stream(length)
        made = book.good(f"seal-{length}", "aead.seal", key=key, context=context, plaintext=plaintext)
        book.good(f"open-{length}", "aead.open", key=key, context=context, sealed=made["sealed"])
    sealed = bytes.fromhex(book.good("seal", "aead.seal", key=key, context=b"", plaintext=b"words")["sealed"])
    refused = {
        "commitment": flip(sealed, 0), "ciphertext": flip(sealed, 32), "tag": flip(sealed, len(sealed) - 1),
        "short": sealed[:-1], "long": sealed + b"\x00", "empty": b"", "only-commitment": sealed[:32],
    }  # fmt: skip
    for name, changed in refused.items():
        book.bad(f"open-{name}", "seal.decryption", "aead.open", key=key, context=b"", sealed=changed)
    book.bad("open-other-key", "seal.decryption", "aead.open", key=flip(key, 3), context=b"", sealed=sealed)
    book.bad("open-other-context", "seal.decryption", "aead.open", key=key, context=b"\x00", sealed=sealed)
    for length in (0, 31, 33):
        book.bad(
            f"seal-key-{length}",
            "encoding.length",
            "aead.seal",
            key=bytes(length),
            context=b"",
            plaintext=b"",
        )
        book.bad(
            f"open-key-{length}",
            "encoding.length",
            "aead.open",
            key=bytes(length),
            context=b"",
            sealed=sealed,
        )
    for data, size in ((b"", 4), (b"words", 9), (b"words", 64)):
        made = book.good(f"pad-{len(data)}-{size}", "padding.pad", data=data, size=size)
        book.good(f"unpad-{len(data)}-{size}", "padding.unpad", padded=made["padded"])
    book.bad("pad-too-small", "encoding.length", "padding.pad", data=b"words", size=8)
    book.bad("unpad-prefix", "encoding.truncated", "padding.unpad", padded=bytes(3))
    book.bad("unpad-past-end", "encoding.length", "padding.unpad", padded=b"\x00\x00\x00\x02x")
    book.bad("unpad-filling", "encoding.non_canonical", "padding.unpad", padded=b"\x00\x00\x00\x01xy")
    for length in (0, 1, 1024, 1025, 1100, 2048, 2049, 5000, 100_000, 1 << 24):
        book.good(f"bucket-{length}", "padding.bucket_size", length=length)
    book.bad("bucket-negative", "encoding.range", "padding.bucket_size", length=-1)
    book.good("unpad-bucket", "padding.unpad_bucket", padded=(b"\x00\x00\x00\x05words").ljust(1024, b"\x00"))
    book.bad("unpad-bucket-size", "encoding.non_canonical", "padding.unpad_bucket",
             padded=(b"\x00\x00\x00\x05words").ljust(1025, b"\x00"))  # fmt: skip
    return book


def kem() -> Book:
    """Keys, encapsulation, complaints."""
    book = Book("kem", "The provable KEM: keys, encapsulation, complaints that everybody can check.")
    stream = SeededStream(b"vectors/kem")
    secret, ephemeral = random_scalar(stream), random_scalar(stream)
    public, enc = RISTRETTO255.base_multiply(secret), RISTRETTO255.base_multiply(ephemeral)
    header, session = stream(32), b"complaint session"
    own, sent = scalar_bytes(secret), scalar_bytes(ephemeral)
    book.good("public", "kem.public_key", secret=own)
    book.bad("public-zero", "encoding.range", "kem.public_key", secret=bytes(32))
    book.bad("public-order", "encoding.range", "kem.public_key", secret=ORDER.to_bytes(32, "little"))
    shared = RISTRETTO255.multiply(secret, enc)
    for index in (1, 2, 9):
        inputs = {"index": index, "header_hash": header}
        one = book.good(f"encapsulate-{index}", "kem.encapsulate", ephemeral=sent, recipient=public, **inputs)
        two = book.good(f"decapsulate-{index}", "kem.decapsulate", secret=own, enc=enc, **inputs)
        three = book.good(
            f"derive-{index}", "kem.derive_key", shared_point=shared, enc=enc, recipient=public, **inputs
        )
        if not one == two == three:
            raise ValueError("sender, recipient and public derive different keys")
    book.good("encapsulate-other-header", "kem.encapsulate", ephemeral=sent, recipient=public, index=1,
              header_hash=bytes(32))  # fmt: skip
    for index in (0, 10):
        book.bad(f"encapsulate-index-{index}", "encoding.range", "kem.encapsulate", ephemeral=sent,
                 recipient=public, index=index, header_hash=header)  # fmt: skip
    book.bad("encapsulate-header", "encoding.length", "kem.encapsulate", ephemeral=sent, recipient=public,
             index=1, header_hash=header[:31])  # fmt: skip
    for name, (element, code) in BAD_ELEMENTS.items():
        book.bad(f"encapsulate-{name}", code, "kem.encapsulate", ephemeral=sent, recipient=element, index=1,
                 header_hash=header)  # fmt: skip
        book.bad(f"decapsulate-{name}", code, "kem.decapsulate", secret=own, enc=element, index=1,
                 header_hash=header)  # fmt: skip
        book.bad(f"complain-{name}", code, "kem.complain", secret=own, enc=element, session=session, seed=b"")
    proof = book.good("prove-key", "kem.prove_key", secret=own, session=session, seed=b"k")["proof"]
    book.good("check-key", "kem.check_key", public=public, session=session, proof=proof)
    book.bad(
        "check-key-session", "proof.invalid", "kem.check_key", public=public, session=b"other", proof=proof
    )
    book.bad("check-key-other", "proof.invalid", "kem.check_key", public=enc, session=session, proof=proof)
    book.bad("check-key-identity", "encoding.identity", "kem.check_key", public=bytes(32), session=session,
             proof=proof)  # fmt: skip
    book.bad("check-key-short", "encoding.truncated", "kem.check_key", public=public, session=session,
             proof=proof[:-2])  # fmt: skip
    made = book.good("complain", "kem.complain", secret=own, enc=enc, session=session, seed=b"c")
    claim = {"recipient": public, "enc": enc, "session": session, **made}
    book.good("complaint", "kem.check_complaint", **claim)
    for name, code, change in (
        ("session", "proof.invalid", {"session": b"another"}),
        ("shared", "proof.invalid", {"shared_point": public}),
        ("enc", "proof.invalid", {"enc": public}),
        ("recipient", "proof.invalid", {"recipient": enc}),
        ("shared-identity", "encoding.identity", {"shared_point": bytes(32)}),
        ("shared-bad", "encoding.non_canonical", {"shared_point": b"\xff" * 32}),
        ("proof-short", "encoding.truncated", {"proof": made["proof"][:-2]}),
        ("proof-long", "encoding.trailing", {"proof": made["proof"] + "00"}),
    ):
        book.bad(f"complaint-{name}", code, "kem.check_complaint", **{**claim, **change})
    return book


def keys_and_signatures() -> Book:
    """HPKE public keys, Ed25519."""
    book = Book("signing", "Ed25519 signatures under tags and over text; checks of Ed25519 and X25519 keys.")
    stream = SeededStream(b"vectors/signing")
    seed, parts = stream(32), [b"first", b"", b"third"]
    key = book.good("public", "signing.public_key", seed=seed)["verify_key"]
    for length in (0, 31, 33, 64):
        book.bad(f"public-{length}", "encoding.length", "signing.public_key", seed=bytes(length))
    made: str = ""
    for tag in Tag:
        made = book.good(f"sign-{tag.value}", "signing.sign", seed=seed, tag=tag.value, parts=parts)[
            "signature"
        ]
    last = list(Tag)[-1].value
    good = {"verify_key": key, "signature": made, "tag": last, "parts": parts}
    book.good("verify", "signing.verify", **good)
    raw = bytes.fromhex(made)
    unreduced = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    for name, code, change in (
        ("tag", "signature.invalid", {"tag": Tag.ACCEPT.value}),
        ("parts", "signature.invalid", {"parts": [b"firs", b"t", b"third"]}),
        ("flipped", "signature.invalid", {"signature": flip(raw, 5)}),
        ("unreduced", "signature.invalid", {"signature": unreduced}),
        ("other-key", "signature.invalid", {"verify_key": stream(32)}),
        ("low-order-key", "signature.invalid", {"verify_key": b"\x01" + bytes(31)}),
        ("short", "encoding.length", {"signature": raw[:63]}),
        ("long", "encoding.length", {"signature": raw + b"\x00"}),
        ("short-key", "encoding.length", {"verify_key": key[:62]}),
    ):
        book.bad(f"verify-{name}", code, "signing.verify", **{**good, **change})
    text = b"origin\n5\nroot\n"
    note = book.good("sign-text", "signing.sign_text", seed=seed, text=text)["signature"]
    book.good("verify-text", "signing.verify_text", verify_key=key, signature=note, text=text)
    book.bad("verify-text-other", "signature.invalid", "signing.verify_text", verify_key=key, signature=note,
             text=text + b"x")  # fmt: skip
    for name, bad in {"empty": b"", "control": b"\x00text", "newline": b"\ntext"}.items():
        book.bad(f"sign-text-{name}", "encoding.text", "signing.sign_text", seed=seed, text=bad)
    book.good("check-key", "signing.check_verify_key", verify_key=key)
    for name, code, bad in (
        ("low-order", "encoding.non_canonical", b"\x01" + bytes(31)),
        ("zero", "encoding.non_canonical", bytes(32)),
        ("all-ones", "encoding.non_canonical", b"\xff" * 32),
        ("short", "encoding.length", bytes(31)),
        ("long", "encoding.length", bytes(33)),
    ):
        book.bad(f"check-key-{name}", code, "signing.check_verify_key", verify_key=bad)
    box = book.good("hpke-public", "hpke.public_key", secret=stream(32))["public"]
    book.bad("hpke-secret-short", "encoding.length", "hpke.public_key", secret=bytes(31))
    book.good("hpke-check", "hpke.check_public", public=box)
    for name, code, bad in (
        ("zero", "encoding.identity", bytes(32)),
        ("one", "encoding.identity", b"\x01" + bytes(31)),
        ("prime", "encoding.non_canonical", (2**255 - 19).to_bytes(32, "little")),
        (
            "high-bit",
            "encoding.non_canonical",
            bytes.fromhex(box)[:31] + bytes([bytes.fromhex(box)[31] | 0x80]),
        ),
        ("short", "encoding.length", bytes(31)),
        ("long", "encoding.length", bytes(33)),
    ):
        book.bad(f"hpke-check-{name}", code, "hpke.check_public", public=bad)
    return book
