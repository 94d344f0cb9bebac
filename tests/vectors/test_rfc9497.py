"""RFC 9497 ristretto255-SHA512 vectors: all three modes, through primitives/hashing.py, counted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from notalone_crypto.primitives.group import ORDER
from notalone_crypto.primitives.group import RISTRETTO255 as GROUP
from notalone_crypto.primitives.hashing import hash_to_group_with_dst, hash_to_scalar_with_dst

Suite = dict[str, Any]
OPRF, VOPRF, POPRF = 0, 1, 2


def load(folder: Path) -> list[Suite]:
    suites: list[Suite] = json.loads((folder / "rfc9497-ristretto255.json").read_text())
    assert [suite["mode"] for suite in suites] == [OPRF, VOPRF, POPRF]
    assert [len(suite["vectors"]) for suite in suites] == [2, 3, 3]
    assert [sum(vector["Batch"] for vector in suite["vectors"]) for suite in suites] == [2, 4, 4]
    return suites


def prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def context(suite: Suite) -> bytes:
    mode, identifier = int(suite["mode"]), str(suite["identifier"])
    return b"OPRFV1-" + bytes([mode]) + b"-" + identifier.encode()


def hash_to_scalar(suite: Suite, message: bytes) -> int:
    return hash_to_scalar_with_dst(message, b"HashToScalar-" + context(suite))


def derive_key(suite: Suite) -> int:
    message = bytes.fromhex(suite["seed"]) + prefixed(bytes.fromhex(suite["keyInfo"])) + b"\0"
    return hash_to_scalar_with_dst(message, b"DeriveKeyPair" + context(suite))


def evaluation_key(suite: Suite, key: int, vector: dict[str, Any]) -> int:
    """The scalar that multiplies blinded elements: the key, or in POPRF 1/(key + tweak)."""
    if suite["mode"] != POPRF:
        return key
    tweak = hash_to_scalar(suite, b"Info" + prefixed(bytes.fromhex(vector["Info"])))
    return pow(key + tweak, -1, ORDER)


def composites(suite: Suite, public: bytes, lefts: list[bytes], rights: list[bytes]) -> tuple[bytes, bytes]:
    seed = hashlib.sha512(prefixed(public) + prefixed(b"Seed-" + context(suite))).digest()
    weights = [
        hash_to_scalar(
            suite, prefixed(seed) + index.to_bytes(2, "big") + prefixed(left) + prefixed(right) + b"Composite"
        )
        for index, (left, right) in enumerate(zip(lefts, rights, strict=True))
    ]
    return GROUP.multi_multiply(weights, lefts), GROUP.multi_multiply(weights, rights)


def check_dleq(
    suite: Suite, vector: dict[str, Any], key: int, blinded: list[bytes], out: list[bytes]
) -> None:
    """The challenge of the DLEQ proof is a HashToScalar; regenerate the whole proof from r."""
    public = GROUP.base_multiply(key)
    lefts, rights = (out, blinded) if suite["mode"] == POPRF else (blinded, out)
    left, right = composites(suite, public, lefts, rights)
    nonce = GROUP.decode_scalar(bytes.fromhex(vector["Proof"]["r"]))
    parts = [public, left, right, GROUP.base_multiply(nonce), GROUP.multiply(nonce, left)]
    challenge = hash_to_scalar(suite, b"".join(map(prefixed, parts)) + b"Challenge")
    response = (nonce - challenge * key) % ORDER
    proof = GROUP.encode_scalar(challenge) + GROUP.encode_scalar(response)
    assert proof.hex() == vector["Proof"]["proof"]


@pytest.mark.parametrize("mode", [OPRF, VOPRF, POPRF])
def test_keys_blinding_evaluation_and_output(third_party_vectors: Path, mode: int) -> None:
    suite = load(third_party_vectors)[mode]
    dst = b"HashToGroup-" + context(suite)
    assert dst.hex() == suite["groupDST"]
    key = derive_key(suite)
    assert GROUP.encode_scalar(key).hex() == suite["skSm"]
    if mode != OPRF:
        assert GROUP.base_multiply(key).hex() == suite["pkSm"]
    for vector in suite["vectors"]:
        fields = ("Input", "Blind", "BlindedElement", "EvaluationElement", "Output")
        rows = list(zip(*(vector[name].split(",") for name in fields), strict=True))
        assert len(rows) == vector["Batch"]
        factor = evaluation_key(suite, key, vector)
        for message_hex, blind_hex, blinded, evaluated, output in rows:
            message = bytes.fromhex(message_hex)
            blind = GROUP.decode_scalar(bytes.fromhex(blind_hex))
            element = hash_to_group_with_dst(message, dst)
            assert GROUP.multiply(blind, element).hex() == blinded
            assert GROUP.multiply(factor, bytes.fromhex(blinded)).hex() == evaluated
            unblinded = GROUP.multiply(pow(blind, -1, ORDER), bytes.fromhex(evaluated))
            info = prefixed(bytes.fromhex(vector["Info"])) if mode == POPRF else b""
            hashed = hashlib.sha512(prefixed(message) + info + prefixed(unblinded) + b"Finalize").hexdigest()
            assert hashed == output
        if mode != OPRF:
            tweaked = key if mode == VOPRF else pow(factor, -1, ORDER)
            check_dleq(
                suite,
                vector,
                tweaked,
                [bytes.fromhex(row[2]) for row in rows],
                [bytes.fromhex(row[3]) for row in rows],
            )
