"""The CFRG drafts' vectors for Fiat-Shamir and for sigma proofs, each record counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.support.p256 import P256_GROUP

from notalone_crypto.errors import Code, MalformedInput, Misuse, VerificationFailed
from notalone_crypto.primitives import sigma, transcript
from notalone_crypto.primitives.linear import LinearRelation, prove_compact, verify_compact
from notalone_crypto.primitives.transcript import DuplexSponge, derive_session_id

MERSENNE31 = 2**31 - 1
REFUSED = (MalformedInput, VerificationFailed)
Record = dict[str, Any]


def load(folder: Path, name: str, count: int) -> list[Record]:
    records: list[Record] = json.loads((folder / name).read_text())
    assert len(records) == count, f"{name} has another number of records than when this was written"
    return records


def number(value: str | int) -> int:
    return value if isinstance(value, int) else int(value, 16)


def replay(record: Record) -> bytes:
    sponge = DuplexSponge(bytes.fromhex(record["SessionId"]))
    output = b""
    for operation in record["Operations"]:
        if operation["type"] == "absorb":
            sponge.absorb(bytes.fromhex(operation["data"]))
        else:
            output += sponge.squeeze(operation["length"])
    return output


def sumcheck_prove(session_id: bytes, table: list[int]) -> tuple[bytes, int]:
    """The draft's example protocol: message bytes and the final evaluation."""
    sponge = DuplexSponge(session_id)
    variables = len(table).bit_length() - 1
    sponge.absorb(variables.to_bytes(4, "little"))
    sponge.absorb(transcript.serialize_uint(sum(table) % MERSENNE31, MERSENNE31))
    sent = b""
    while len(table) > 1:
        constant = sum(table[0::2]) % MERSENNE31
        slope = (sum(table[1::2]) - constant) % MERSENNE31
        message = transcript.serialize_field((constant, slope), MERSENNE31)
        sponge.absorb(message)
        point = transcript.decode_uint(sponge.squeeze(4), MERSENNE31)
        table = [
            (even + point * (odd - even)) % MERSENNE31
            for even, odd in zip(table[0::2], table[1::2], strict=True)
        ]
        sent += message
    return sent, table[0]


def sumcheck_verify(session_id: bytes, variables: int, claim: int, proof: bytes) -> int:
    sponge = DuplexSponge(session_id)
    sponge.absorb(variables.to_bytes(4, "little") + transcript.serialize_uint(claim, MERSENNE31))
    for _ in range(variables):
        message, proof = proof[:8], proof[8:]
        constant, slope = transcript.deserialize_field(message, MERSENNE31, 2)
        if (2 * constant + slope - claim) % MERSENNE31:
            raise VerificationFailed(Code.PROOF, "a round does not add up to the claim")
        sponge.absorb(message)
        point = transcript.decode_uint(sponge.squeeze(4), MERSENNE31)
        claim = (constant + slope * point) % MERSENNE31
    if proof:
        raise MalformedInput(Code.TRAILING, "bytes follow the last round")
    return claim


def check_sumcheck(record: Record) -> None:
    assert number(record["Modulus"]) == MERSENNE31
    session_id = bytes.fromhex(record["SessionId"])
    if "Tag" in record:
        assert derive_session_id(bytes.fromhex(record["Tag"])) == session_id
    claim, proof = number(record["ClaimedSum"]), bytes.fromhex(record["Narg"])
    if record.get("Expected") == "reject":
        with pytest.raises(REFUSED):
            sumcheck_verify(session_id, record["NumVariables"], claim, proof)
        return
    made, final = sumcheck_prove(session_id, [number(value) for value in record["Witness"]])
    assert made == proof
    assert final == number(record["FinalEvaluation"])
    assert sumcheck_verify(session_id, record["NumVariables"], claim, proof) == final


def check_codec(record: Record) -> None:
    function, rejected = record["Function"], record.get("Expected") == "reject"
    data = bytes.fromhex(record.get("Input", ""))
    modulus = number(record.get("Modulus", 0))
    if function == "SerializeVarLenString":
        assert transcript.serialize_varlen(data).hex() == record["Output"]
        assert transcript.deserialize_varlen(bytes.fromhex(record["Output"])) == (data, b"")
    elif function == "SerializeUint":
        assert transcript.serialize_uint(number(record["Value"]), modulus).hex() == record["Output"]
        assert transcript.deserialize_uint(bytes.fromhex(record["Output"]), modulus) == number(
            record["Value"]
        )
    elif function == "SerializeField":
        assert record["ByteOrder"] == "big-endian"
        assert transcript.serialize_field([number(record["Value"])], modulus, "big").hex() == record["Output"]
    elif function == "DecodeUint":
        assert transcript.decode_uint(data, modulus) == number(record["Challenge"])
    elif function == "DeserializeField" and not rejected:
        decoded = transcript.deserialize_field(data, modulus, record["ExtensionDegree"])
        assert list(decoded) == [number(value) for value in record["Coordinates"]]
    elif function == "DeserializeField":
        with pytest.raises(MalformedInput):
            transcript.deserialize_field(data, modulus, record["ExtensionDegree"])
    elif function == "DeserializeUint":
        assert rejected
        with pytest.raises(MalformedInput):
            transcript.deserialize_uint(data, modulus)
    elif function == "DeserializeVarLenString":
        assert rejected
        with pytest.raises(MalformedInput):
            transcript.deserialize_varlen(data)
    elif function == "Sumcheck":
        check_sumcheck(record)
    else:
        pytest.fail(f"unknown function {function}")


def test_fiat_shamir_codec_vectors(third_party_vectors: Path) -> None:
    for record in load(third_party_vectors, "fiatShamirCodecVectors.json", 13):
        check_codec(record)


def test_fiat_shamir_shake128_vectors(third_party_vectors: Path) -> None:
    seen: Counter[str] = Counter()
    for record in load(third_party_vectors, "fiatShamirShake128Vectors.json", 13):
        function = record["Function"]
        assert record["Hash"] == "SHAKE128"
        seen[function] += 1
        if function == "DuplexSponge":
            assert replay(record).hex() == record["Output"], record["Id"]
        elif function == "DeriveSessionID":
            assert derive_session_id(bytes.fromhex(record["Tag"])).hex() == record["Output"]
        elif function == "DecodeUint":
            output = replay(record)
            assert output.hex() == record["Output"]
            assert transcript.decode_uint(output, number(record["Modulus"])) == number(record["Challenge"])
        elif function == "Sumcheck":
            check_sumcheck(record)
        else:
            pytest.fail(f"unknown function {function}")
    assert seen == {"DuplexSponge": 9, "DeriveSessionID": 1, "DecodeUint": 1, "Sumcheck": 2}


def vector_nonces(record: Record, count: int) -> list[int]:
    """The draft's seeded stream of prover nonces (its appendix "Seeded PRNG")."""
    marker = {"batchable": "DSFS", "compact": "CMPT"}[record["Flavor"]]
    tag = f"TestDRNG-SIGMA-PROOFS-{marker}-{record['Ciphersuite']}-{record['Relation']}"
    sponge = DuplexSponge(derive_session_id(tag.encode()))
    return [transcript.squeeze_scalar(sponge, P256_GROUP.order) for _ in range(count)]


def read_proof_record(record: Record) -> tuple[bytes, LinearRelation, list[int], bytes]:
    assert record["Ciphersuite"] == "sigma-proofs_Shake128_P256"
    assert record["Expected"] == "accept"
    session = record["Tag"].encode()
    assert derive_session_id(session).hex() == record["SessionId"]
    instance = bytes.fromhex(record["Instance"])
    relation = LinearRelation.parse(P256_GROUP, instance)
    assert relation.instance_bytes() == instance
    witness = sigma.split_scalars(P256_GROUP, bytes.fromhex(record["Witness"]))
    relation.check_witness(witness)
    return session, relation, witness, bytes.fromhex(record["NargString"])


def check_tampered(session: bytes, relation: LinearRelation, proof: bytes, flavor: str) -> None:
    verify = verify_compact if flavor == "compact" else verify_batchable
    tampered = [proof + b"\0", proof[:-1], bytes(len(proof))]
    for position in (0, 1, 40, len(proof) - 1):
        changed = bytearray(proof)
        changed[position] ^= 1
        tampered.append(bytes(changed))
    for wrong in tampered:
        with pytest.raises(REFUSED):
            verify(session, relation, wrong)
    with pytest.raises(REFUSED):
        verify(session + b"!", relation, proof)


def verify_batchable(session: bytes, relation: LinearRelation, proof: bytes) -> None:
    sigma.verify(session, [relation], proof)


def test_sigma_proof_vectors(third_party_vectors: Path) -> None:
    flavors: Counter[str] = Counter()
    items: list[sigma.ProofItem] = []
    for record in load(third_party_vectors, "sigma-proofs_Shake128_P256.json", 14):
        session, relation, witness, proof = read_proof_record(record)
        nonces = vector_nonces(record, relation.nonce_count)
        flavors[record["Flavor"]] += 1
        if record["Flavor"] == "compact":
            assert prove_compact(session, relation, witness, nonces) == proof, record["Id"]
            verify_compact(session, relation, proof)
        else:
            state, commitment = relation.commit(witness, nonces)
            challenge = sigma.derive_challenge(
                P256_GROUP, derive_session_id(session), relation.instance_bytes(), commitment
            )
            assert commitment + relation.respond(state, challenge) == proof, record["Id"]
            verify_batchable(session, relation, proof)
            items.append((session, [relation], proof))
        check_tampered(session, relation, proof, record["Flavor"])
    assert flavors == {"batchable": 7, "compact": 7}
    sigma.verify_batch(items)
    items[2] = (*items[2][:2], items[2][2][:-1] + bytes([items[2][2][-1] ^ 1]))
    errors = sigma.verify_each(items)
    assert [position for position, error in enumerate(errors) if error is not None] == [2]


def test_vector_statement_with_a_changed_element_is_refused(third_party_vectors: Path) -> None:
    records = load(third_party_vectors, "sigma-proofs_Shake128_P256.json", 14)
    for record in records:
        session, relation, _, proof = read_proof_record(record)
        instance = relation.instance_bytes()
        other = P256_GROUP.add(instance[-33:], P256_GROUP.generator)
        changed = LinearRelation.parse(P256_GROUP, instance[:-33] + other)
        verify = verify_compact if record["Flavor"] == "compact" else verify_batchable
        with pytest.raises(VerificationFailed):
            verify(session, changed, proof)


def test_prover_refuses_a_vector_witness_that_does_not_fit(third_party_vectors: Path) -> None:
    record = load(third_party_vectors, "sigma-proofs_Shake128_P256.json", 14)[0]
    _, relation, witness, _ = read_proof_record(record)
    with pytest.raises(Misuse):
        relation.check_witness([witness[0] + 1])
