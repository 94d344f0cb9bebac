"""A whole deployment in memory, wired by hand: for attack and unit tests.

Owns a committee after a real ceremony, an enrolled roll, machines and a log,
and helpers that run one honest step each, so that a test can replace any of
them with a dishonest one. No fault injection and no ports: that is the
simulation's (demo/notalone_demo/simulation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Desk,
    Organisation,
    ReleaseMode,
    ScopePolicy,
    SignedManifest,
)
from notalone_crypto.messages.evaluation import BatchPlan, CosignatureMessage, LogUpdate
from notalone_crypto.messages.filing import Acceptance, Filing
from notalone_crypto.messages.release import ReleaseBatch
from notalone_crypto.messages.roll import RollEntry, RollSnapshot
from notalone_crypto.primitives import checkpoint, hpke, merkle, signing
from notalone_crypto.protocol import accept, batch, ceremony, file, intake, log, release, roll
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.state import Outgoing, Phase, Post, ScopeState, TrusteeState
from notalone_crypto.randomness import SeededStream

NOW = 1_790_000_000
SLOT = 1
ALIAS = "Alma, by the lake"


def run_ceremony(
    parameters: CommitteeParameters,
    randomness: SeededStream,
    board_key: bytes,
    auditors: tuple[bytes, ...] = (),
) -> tuple[SignedManifest, list[TrusteeSecrets]]:
    """A complete honest ceremony."""
    everyone = range(1, parameters.count + 1)
    made = [ceremony.create_keys(parameters, index, randomness) for index in everyone]
    public = [keys for _, keys in made]
    ceremony.check_keys(parameters, public)
    dealings = [ceremony.deal(parameters, made[i - 1][0], public, i, randomness) for i in everyone]
    secrets, hashes = [], []
    for index in everyone:
        for dealing in dealings:
            ceremony.check_dealing(parameters, public, dealing)
        parts = [ceremony.open_dealing(parameters, made[index - 1][0], index, one) for one in dealings]
        own, message = ceremony.combine(parameters, made[index - 1][0], index, dealings, parts)
        secrets.append(own)
        hashes.append(message)
    manifest = ceremony.assemble_manifest(
        parameters, public, dealings, hashes, board_key=board_key, auditors=auditors
    )
    signatures = {own.index: ceremony.sign_manifest(manifest, own.signing_key) for own in secrets}
    return ceremony.collect(manifest, signatures), secrets


@dataclass(slots=True)
class World:
    """One committee, one scope, one organisation, `members` people on its roll."""

    count: int = 3
    threshold: int = 2
    levels: tuple[int, ...] = (2, 3)
    slots: tuple[int, ...] = (1, 2, 3, 4)
    members: int = 36
    seed: bytes = b"world"
    scope_name: str = "university"
    instance: str = "test-instance"
    release_modes: tuple[int, ...] = (1, 2)
    release_blobs: int = 16
    batch_seconds: int = 0
    now: int = NOW
    # filled in by __post_init__
    randomness: SeededStream = field(init=False)
    board_key: signing.SigningKey = field(init=False)
    issuer: signing.SigningKey = field(init=False)
    desk: hpke.HpkePrivateKey = field(init=False)
    signed_manifest: SignedManifest = field(init=False)
    committee: Committee = field(init=False)
    secrets: dict[int, TrusteeSecrets] = field(init=False)
    policy: ScopePolicy = field(init=False)
    people: list[roll.Member] = field(init=False)
    roll: list[RollEntry] = field(init=False)
    snapshot: RollSnapshot = field(init=False)
    tree: merkle.MerkleTree = field(init=False)
    machines: dict[int, Machine] = field(init=False)
    last_note: bytes = field(init=False, default=b"")
    posts: list[tuple[int, Post]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.randomness = SeededStream(self.seed)
        self.board_key = signing.generate_key(self.randomness)
        self.issuer = signing.generate_key(self.randomness)
        self.desk = hpke.generate_key(self.randomness)
        parameters = CommitteeParameters(
            self.instance,
            tuple(f"trustee {i}" for i in range(1, self.count + 1)),
            self.threshold,
            self.levels,
            self.randomness(32),
        )
        self.signed_manifest, own = run_ceremony(parameters, self.randomness, self.board_key.verify_key)
        self.committee = Committee.verified(self.signed_manifest)
        self.secrets = {one.index: one for one in own}
        self.policy = ScopePolicy(
            self.instance,
            self.scope_name,
            (Organisation("University", self.issuer.verify_key),),
            self.slots,
            self.levels,
            self.release_modes,
            (Desk("Counsellors", self.desk.public),),
            "FR",
            12,
            365,
            104,
            self.release_blobs,
            self.batch_seconds,
            1,
        )
        self.people, self.roll = [], []
        for _ in range(self.members):
            self.enrol()
        self.tree = merkle.MerkleTree.of([])
        self.machines = {
            index: Machine(self.committee, one, TrusteeState()) for index, one in self.secrets.items()
        }
        self.refresh_snapshot(1)
        self.install(self.policy)

    # --- roll -------------------------------------------------------------------------------------

    def enrol(self, eligible_from: int = 0) -> roll.Member:
        """One more person with fresh words on the roll (take a new snapshot to use it)."""
        key = self.issuer.verify_key
        person = roll.member_from_phrase(self.randomness(16), self.instance, key)
        request = roll.enrol(person, self.instance, key, self.randomness)
        self.roll.append(
            roll.accept_enrolment(request, self.instance, self.issuer, self.roll, eligible_from=eligible_from)
        )
        self.people.append(person)
        return person

    def refresh_snapshot(self, number: int, closed: frozenset[int] = frozenset()) -> RollSnapshot:
        """Take the next snapshot of the (single) cohort."""
        self.snapshot = roll.take_snapshots(
            self.roll,
            closed,
            self.issuer,
            scope=self.policy.scope,
            number=number,
            now=self.now,
            declared=self.members + 5,
        )[0]
        return self.snapshot

    def view(self) -> accept.View:
        """What every trustee holds to be current."""
        newest = {(self.snapshot.issuer_key, self.snapshot.cohort): self.snapshot}
        since = intake.not_before(self.scope_of(1), self.now)
        return accept.View(self.committee, self.policy, (self.snapshot,), newest, since, self.now)

    # --- filing -----------------------------------------------------------------------------------

    def report(
        self,
        identifiers: Mapping[int, bytes] | bytes,
        threshold: int = 2,
        mode: ReleaseMode = ReleaseMode.COUNSELLOR,
        *,
        preconsent: bool = False,
        weeks: int = 52,
        words: bytes = b"words",
    ) -> file.Report:
        """A report; bare bytes mean the first slot."""
        named = {self.slots[0]: identifiers} if isinstance(identifiers, bytes) else identifiers
        expiry = withdrawals.week_of(self.now) + weeks
        return file.Report(named, threshold, mode, preconsent, self.desk.public, expiry, ALIAS, words)

    def seal(
        self, who: int | roll.Member, report: file.Report, spent: frozenset[bytes] = frozenset()
    ) -> file.SealedReport:
        """What that person's device sends."""
        member = self.people[who] if isinstance(who, int) else who
        return file.seal_report(
            self.committee,
            self.policy,
            self.snapshot,
            member,
            report,
            period=withdrawals.period_of(self.now, self.policy.period_days),
            spent_tags=spent,
            randomness=self.randomness,
        )

    def file(
        self,
        who: int | roll.Member,
        identifiers: Mapping[int, bytes] | bytes,
        threshold: int = 2,
        mode: ReleaseMode = ReleaseMode.COUNSELLOR,
        **options: object,
    ) -> file.SealedReport:
        """Seal a report and let every trustee accept it."""
        sealed = self.seal(who, self.report(identifiers, threshold, mode, **options), self.spent())  # type: ignore[arg-type]
        self.give([sealed.filing])
        return sealed

    def spent(self) -> frozenset[bytes]:
        """The public list of spent tags."""
        return frozenset(tag for tags in self.machines[1].state.spent.values() for tag in tags)

    def give(self, filings: Iterable[Filing]) -> None:
        """Every trustee receives these filings and every acceptance; raises the first refusal."""
        acceptances = []
        batch_of = list(filings)
        for machine in self.machines.values():
            posts, errors = intake.receive_filings(
                machine.state, machine.secrets, self.view(), batch_of, self.randomness
            )
            for error in errors:
                if error is not None:
                    raise error
            acceptances += [
                Acceptance.decode(post.payload) for post in posts if post.kind == Outgoing.ACCEPTANCE
            ]
            self.posts += [(machine.secrets.index, post) for post in posts]
        for acceptance in acceptances:
            for machine in self.machines.values():
                intake.receive_acceptance(machine.state, self.view(), acceptance)

    def withdraw(self, sealed: file.SealedReport) -> None:
        """The owner takes her filing back, at the next batch."""
        request = withdrawals.withdraw(sealed.header.entry, sealed.owner.signing_key)
        for machine in self.machines.values():
            intake.receive_withdrawal(machine.state, self.view(), request)

    # --- batches ----------------------------------------------------------------------------------

    def scope_of(self, index: int) -> ScopeState:
        """One trustee's state of the scope."""
        return self.machines[index].state.scopes[self.policy.scope]

    def plan(self, entries: tuple[bytes, ...] | None = None) -> BatchPlan:
        """The plan an honest board makes now."""
        scope = self.scope_of(1)
        withdrawn = tuple(sorted(scope.withdrawals))
        expired = batch.expired_entries(self.committee, scope, self.now)
        withdrawn = tuple(entry for entry in withdrawn if entry not in expired)
        if entries is None:
            entries = tuple(
                entry
                for entry, held in scope.pending.items()
                if len(held.acceptances) == self.count and entry not in withdrawn + expired
            )
        return BatchPlan(
            self.committee.identifier,
            self.committee.manifest.generation,
            self.policy.scope,
            scope.number + 1,
            scope.leaf,
            self.now,
            batch.next_epoch(scope, withdrawn + expired),
            tuple(range(1, self.count + 1)),
            withdrawn,
            expired,
            entries,
        )

    def start_batch(self, plan: BatchPlan | None = None) -> list[tuple[int, Post]]:
        """Every trustee receives the plan; their posts, undelivered."""
        chosen = plan or self.plan()
        posts = []
        for index, machine in self.machines.items():
            posts += [(index, post) for post in machine.receive_plan(chosen, self.now, self.randomness)]
        return posts

    def deliver(self, posts: list[tuple[int, Post]]) -> list[tuple[int, Post]]:
        """Deliver posts and all that follow from them; everything that was posted, in order."""
        queue, done = list(posts), []
        exchanged = {Outgoing.PLAN_VOTE, Outgoing.ROUND_ONE, Outgoing.ROUND_TWO, Outgoing.RECORD_VOTE}
        while queue:
            sender, post = queue.pop(0)
            done.append((sender, post))
            if post.kind not in exchanged:
                continue
            for index, machine in self.machines.items():
                if index != sender:
                    fresh = machine.receive_message(post.scope, post.kind, post.payload, self.randomness)
                    queue += [(index, one) for one in fresh]
        self.posts += done
        return done

    def close_batch(self) -> bytes:
        """Log the leaf, collect cosignatures, close; the cosigned note."""
        record = self.scope_of(1).batch.sealed_record  # type: ignore[union-attr]
        note = self.log_leaf(
            record.leaf,  # type: ignore[union-attr]
            lambda machine, update: machine.receive_log(self.policy.scope, update, self.now)[0],
        )
        for machine in self.machines.values():
            machine.receive_note(self.policy.scope, note)
        return note

    def run_batch(self, plan: BatchPlan | None = None) -> list[tuple[int, Post]]:
        """One whole honest batch; every post in order."""
        done = self.deliver(self.start_batch(plan))
        if any(self.scope_of(index).phase != Phase.LOGGING for index in self.machines):
            raise RuntimeError("the batch did not reach its record")
        self.close_batch()
        return done

    def log_leaf(self, leaf: bytes, cosign) -> bytes:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Append a leaf and let every machine cosign it."""
        update = self.append_leaf(leaf)
        note = update.note
        for machine in self.machines.values():
            note += CosignatureMessage.decode(cosign(machine, update).payload).line
        self.last_note = note
        return note

    def append_leaf(self, leaf: bytes) -> LogUpdate:
        """The board's signed update for trustees that saw everything before."""
        old = self.tree.size
        self.tree = self.tree.append(leaf)
        head = checkpoint.Checkpoint(log.origin(self.committee), self.tree.size, self.tree.root())
        note = checkpoint.sign_checkpoint(head, self.board_key).encode()
        return LogUpdate(note, old, self.tree.inclusion_proof(old), self.tree.consistency_proof(old))

    def install(self, policy: ScopePolicy) -> None:
        """Put a policy in the log and install it everywhere."""
        note = self.log_leaf(
            log.policy_leaf(policy),
            lambda machine, update: machine.approve_policy(policy, update, self.now),
        )
        index = self.tree.size - 1
        for machine in self.machines.values():
            machine.install_policy(policy, note, index, self.tree.inclusion_proof(index))
        self.policy = policy

    # --- release ----------------------------------------------------------------------------------

    def blobs(self, posts: list[tuple[int, Post]]) -> list[bytes]:
        """All release blobs among `posts`."""
        return [
            blob
            for _, post in posts
            if post.kind == Outgoing.RELEASES
            for blob in ReleaseBatch.decode(post.payload).blobs
        ]

    def opened_by(
        self, key: hpke.HpkePrivateKey, posts: list[tuple[int, Post]] | None = None
    ) -> set[tuple[bytes, int]]:
        """(entry, content) pairs that the holder of `key` can open from `posts` (default: all so far)."""
        blobs = self.blobs(self.posts if posts is None else posts)
        items = release.try_blobs(self.committee, self.policy.scope, key, blobs)
        return {(one.entry, one.content) for one in release.open_items(self.committee, items)}
