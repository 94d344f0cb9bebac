"""A committee, a scope and filings with every secret known, from one seed.

Owns what the protocol's vectors are made of. Refuses to know their form. It
follows the protocol by its public functions, and draws every random byte from
one seeded stream, so that each run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Dealing,
    Desk,
    Manifest,
    Organisation,
    ReleaseMode,
    ScopePolicy,
    SignedManifest,
    SubsetHashes,
    TrusteeKeys,
)
from notalone_crypto.messages.evaluation import BatchPlan, RoundOne, RoundTwo
from notalone_crypto.messages.filing import Acceptance
from notalone_crypto.messages.roll import Enrolment, RollEntry, RollSnapshot
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import accept, ceremony, entries, file, roll, rounds, withdraw
from notalone_crypto.protocol.ceremony import CeremonyKeys, PrivatePart
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.randomness import SeededStream

NOW = 1_790_000_000
INSTANCE = "vector-instance"


@dataclass(slots=True)
class Deployment:
    """One committee after an honest ceremony, one scope, one organisation, `members` people."""

    seed: bytes
    count: int = 3
    threshold: int = 2
    levels: tuple[int, ...] = (2, 3)
    slots: tuple[int, ...] = (1, 2)
    members: int = 32
    scope_name: str = "university"
    quota: int = 12
    snapshot_number: int = 1
    parameters: CommitteeParameters = field(init=False)
    keys: list[CeremonyKeys] = field(init=False)
    public: list[TrusteeKeys] = field(init=False)
    dealings: list[Dealing] = field(init=False)
    parts: dict[int, list[PrivatePart]] = field(init=False)
    hashes: list[SubsetHashes] = field(init=False)
    secrets: dict[int, TrusteeSecrets] = field(init=False)
    manifest: Manifest = field(init=False)
    signed: SignedManifest = field(init=False)
    committee: Committee = field(init=False)
    board: signing.SigningKey = field(init=False)
    issuer: signing.SigningKey = field(init=False)
    desk: hpke.HpkePrivateKey = field(init=False)
    policy: ScopePolicy = field(init=False)
    phrases: list[bytes] = field(init=False)
    people: list[roll.Member] = field(init=False)
    enrolments: list[Enrolment] = field(init=False)
    roll: list[RollEntry] = field(init=False)
    snapshot: RollSnapshot = field(init=False)

    def __post_init__(self) -> None:
        """Run the ceremony, enrol everybody, take a snapshot."""
        stream = self.stream("keys")
        self.board = signing.generate_key(stream)
        self.issuer = signing.generate_key(stream)
        self.desk = hpke.generate_key(stream)
        names = tuple(f"trustee {index}" for index in range(1, self.count + 1))
        self.parameters = CommitteeParameters(INSTANCE, names, self.threshold, self.levels, stream(32))
        self._ceremony()
        self.policy = ScopePolicy(
            INSTANCE,
            self.scope_name,
            (Organisation("University", self.issuer.verify_key),),
            self.slots,
            self.levels,
            (1, 2),
            (Desk("Counsellors", self.desk.public),),
            "FR",
            self.quota,
            365,
            104,
            4,
            0,
            1,
        )
        self._enrol()

    def stream(self, purpose: str) -> SeededStream:
        """A stream of its own for each purpose, so that one more draw changes one vector only."""
        return SeededStream(self.draw_seed(purpose))

    def draw_seed(self, purpose: str) -> bytes:
        """The seed of that stream."""
        return self.seed + b"/" + purpose.encode()

    def _ceremony(self) -> None:
        everyone = range(1, self.count + 1)
        made = [
            ceremony.create_keys(self.parameters, index, self.stream(f"trustee {index}"))
            for index in everyone
        ]
        self.keys = [keys for keys, _ in made]
        self.public = [public for _, public in made]
        self.dealings = [
            ceremony.deal(
                self.parameters, self.keys[index - 1], self.public, index, self.stream(f"dealing {index}")
            )
            for index in everyone
        ]
        self.secrets, self.hashes, self.parts = {}, [], {}
        for index in everyone:
            own = self.keys[index - 1]
            self.parts[index] = [
                ceremony.open_dealing(self.parameters, own, index, one) for one in self.dealings
            ]
            self.secrets[index], hashes = ceremony.combine(
                self.parameters, own, index, self.dealings, self.parts[index]
            )
            self.hashes.append(hashes)
        self.manifest = ceremony.assemble_manifest(
            self.parameters,
            self.public,
            self.dealings,
            self.hashes,
            board_key=self.board.verify_key,
            auditors=(signing.generate_key(self.stream("auditor")).verify_key,),
        )
        signatures = {
            index: ceremony.sign_manifest(self.manifest, own.signing_key)
            for index, own in self.secrets.items()
        }
        self.signed = ceremony.collect(self.manifest, signatures)
        self.committee = Committee.verified(self.signed)

    def _enrol(self) -> None:
        self.phrases, self.people, self.enrolments, self.roll = [], [], [], []
        key = self.issuer.verify_key
        for number in range(self.members):
            stream = self.stream(f"member {number}")
            phrase = stream(16)
            person = roll.member_from_phrase(phrase, INSTANCE, key)
            request = roll.enrol(person, INSTANCE, key, stream)
            self.roll.append(
                roll.accept_enrolment(request, INSTANCE, self.issuer, self.roll, eligible_from=NOW - 1000)
            )
            self.phrases.append(phrase)
            self.people.append(person)
            self.enrolments.append(request)
        self.snapshot = self.take_snapshot(self.snapshot_number)

    def take_snapshot(self, number: int, now: int = NOW, places: int | None = None) -> RollSnapshot:
        """The whole roll as one cohort, or its first `places`."""
        shown = self.roll if places is None else self.roll[:places]
        return roll.take_snapshots(
            shown, frozenset(), self.issuer, scope=self.policy.scope, number=number, now=now, declared=40
        )[0]

    @property
    def period(self) -> int:
        """The quota period of NOW."""
        return withdraw.period_of(NOW, self.policy.period_days)

    def report(
        self,
        identifiers: Mapping[int, bytes],
        threshold: int = 2,
        mode: ReleaseMode = ReleaseMode.PEERS,
        *,
        preconsent: bool = False,
        weeks: int = 52,
    ) -> file.Report:
        """What a reporter decided."""
        expiry = withdraw.week_of(NOW) + weeks
        return file.Report(
            identifiers, threshold, mode, preconsent, self.desk.public, expiry, "Alma", b"first words"
        )

    def seal(
        self,
        who: int,
        report: file.Report,
        purpose: str,
        *,
        spent: frozenset[bytes] = frozenset(),
        period: int | None = None,
        snapshot: RollSnapshot | None = None,
        policy: ScopePolicy | None = None,
    ) -> file.SealedReport:
        """One filing with the stream of that purpose."""
        return file.seal_report(
            self.committee,
            policy or self.policy,
            snapshot or self.snapshot,
            self.people[who],
            report,
            period=self.period if period is None else period,
            spent_tags=spent,
            randomness=self.stream(purpose),
        )

    def evaluate(self, filings: Sequence[file.SealedReport], plan: BatchPlan) -> Evaluation:
        """Everything the trustees say about these filings in one honest batch."""
        made = Evaluation(plan, list(filings))
        public: list[entries.PublicEntry] = []
        own: dict[int, list[entries.EntrySecrets]] = {index: [] for index in self.secrets}
        for one in filings:
            accepted = []
            for index, secrets in self.secrets.items():
                shares = accept.open_bundle(self.committee, secrets, one.filing, one.header)
                accepted.append(accept.accept(self.committee, self.policy, secrets, one.filing, one.header))
                own[index].append(
                    entries.derive_secrets(self.committee, self.policy, secrets, one.header, shares)
                )
            made.acceptances.append(accepted)
            rows = entries.agree(self.committee, accepted)
            introductions = (one.filing.first_introduction, one.filing.second_introduction)
            public.append(entries.PublicEntry(one.header, *introductions, rows))
        made.public = public
        batch = rounds.Batch(
            self.committee, self.policy, plan, tuple(rounds.Item(one, new=True) for one in public)
        )
        for index, secrets in self.secrets.items():
            stream = self.stream(f"round one {index}")
            made.first[index] = rounds.make_round_one(batch, secrets, own[index], stream)
        rounds.check_round_one(batch, list(made.first.values()))
        made.xs, made.products = rounds.combine_round_one(batch, made.first)
        for index, secrets in self.secrets.items():
            stream = self.stream(f"round two {index}")
            made.second[index] = rounds.make_round_two(batch, secrets, own[index], made.xs, stream)
        rounds.check_round_two(batch, list(made.second.values()), made.xs)
        made.points = rounds.combine_round_two(batch, made.second, made.xs, made.products)
        made.own = own
        return made

    def plan(self, filings: Sequence[file.SealedReport], number: int = 1) -> BatchPlan:
        """A plan that evaluates these filings and nothing else."""
        return BatchPlan(
            self.committee.identifier,
            self.manifest.generation,
            self.policy.scope,
            number,
            bytes(32),
            NOW,
            0,
            tuple(range(1, self.count + 1)),
            (),
            (),
            tuple(one.header.entry for one in filings),
        )


@dataclass(slots=True)
class Evaluation:
    """What came out of one batch."""

    plan: BatchPlan
    filings: list[file.SealedReport]
    acceptances: list[list[Acceptance]] = field(default_factory=list)
    public: list[entries.PublicEntry] = field(default_factory=list)
    own: dict[int, list[entries.EntrySecrets]] = field(default_factory=dict)
    first: dict[int, RoundOne] = field(default_factory=dict)
    second: dict[int, RoundTwo] = field(default_factory=dict)
    xs: tuple[int, ...] = ()
    products: tuple[int, ...] = ()
    points: tuple[rounds.Point, ...] = ()
