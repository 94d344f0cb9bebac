"""Issuer, board, trustees, desk and reporters in one process on a mock clock.

Owns the wiring: a real ceremony, real services, in-memory adapters for their
ports, and faults on request. Refuses to know what the demo prints and what a
test asserts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from notalone_crypto.errors import Code, StateConflict
from notalone_crypto.messages.committee import (
    CommitteeParameters,
    Desk,
    Organisation,
    ScopePolicy,
    SignedManifest,
)
from notalone_crypto.primitives import hpke, signing
from notalone_crypto.protocol import ceremony, roll
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.state import Phase
from notalone_crypto.randomness import SeededStream
from notalone_demo.simulation.network import Disk, Faults, Killed, Link, StateDisk
from notalone_demo.simulation.people import CounsellorDesk, Reporter
from notalone_server.board.memory import BoardState, MemoryStore
from notalone_server.board.service import BoardService
from notalone_server.issuer.service import IssuerService, IssuerState
from notalone_server.trustee.memory import WholeStore
from notalone_server.trustee.ports import BoardUnreachable
from notalone_server.trustee.service import TrusteeService

T = TypeVar("T")
START = 1_790_000_000


@dataclass(slots=True)
class MockClock:
    """Seconds that pass only when told to."""

    now: int = START

    def __call__(self) -> int:
        """Now."""
        return self.now


@dataclass(frozen=True, slots=True)
class Plan:
    """What to deploy."""

    instance: str = "demo"
    scope_name: str = "university"
    organisation: str = "University"
    trustees: tuple[str, ...] = ("Association", "University network", "Foundation")
    threshold: int = 2
    levels: tuple[int, ...] = (2, 3)
    slots: tuple[int, ...] = (1, 2, 3, 4)
    desks: tuple[str, ...] = ("Counsellors",)
    region: str = "FR"
    declared: int = 60
    release_blobs: int = 24
    batch_seconds: int = 3600


def insist(call: Callable[[], T]) -> T:
    """Call again until there is an answer, as a person or a client does."""
    while True:
        try:
            return call()
        except BoardUnreachable:
            continue


def hold_ceremony(
    parameters: CommitteeParameters,
    randomness: SeededStream,
    board_key: bytes,
    auditors: tuple[bytes, ...] = (),
) -> tuple[SignedManifest, tuple[TrusteeSecrets, ...]]:
    """Every step of the key ceremony, every trustee checking every dealing."""
    everyone = range(1, parameters.count + 1)
    made = [ceremony.create_keys(parameters, index, randomness) for index in everyone]
    public = [keys for _, keys in made]
    ceremony.check_keys(parameters, public)
    dealings = [
        ceremony.deal(parameters, keys, public, index, randomness) for index, (keys, _) in enumerate(made, 1)
    ]
    combined = []
    for index, (keys, _) in enumerate(made, 1):
        for dealing in dealings:
            ceremony.check_dealing(parameters, public, dealing)
        parts = [ceremony.open_dealing(parameters, keys, index, dealing) for dealing in dealings]
        combined.append(ceremony.combine(parameters, keys, index, dealings, parts))
    manifest = ceremony.assemble_manifest(
        parameters,
        public,
        dealings,
        [message for _, message in combined],
        board_key=board_key,
        auditors=auditors,
    )
    signatures = {own.index: ceremony.sign_manifest(manifest, own.signing_key) for own, _ in combined}
    return ceremony.collect(manifest, signatures), tuple(own for own, _ in combined)


@dataclass(slots=True)
class Deployment:
    """Everything that runs, and how time passes for it."""

    plan: Plan = field(default_factory=Plan)
    seed: bytes = b"demo"
    faults: Faults = field(default_factory=Faults)
    clock: MockClock = field(default_factory=MockClock)
    randomness: SeededStream = field(init=False)
    signed_manifest: SignedManifest = field(init=False)
    committee: Committee = field(init=False)
    policy: ScopePolicy = field(init=False)
    board: BoardService = field(init=False)
    board_store: MemoryStore = field(init=False)
    issuer: IssuerService = field(init=False)
    desks: dict[str, CounsellorDesk] = field(init=False)
    auditor_key: hpke.HpkePrivateKey = field(init=False)
    reporters: dict[str, Reporter] = field(init=False, default_factory=dict)
    board_disk: StateDisk = field(init=False)
    issuer_disk: StateDisk = field(init=False)
    disks: dict[int, Disk] = field(init=False)
    links: dict[int, Link] = field(init=False)
    trustees: dict[int, TrusteeService] = field(init=False)
    secrets: dict[int, TrusteeSecrets] = field(init=False)
    kills: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Ceremony, policy, services; no people yet."""
        self.randomness = SeededStream(self.seed)
        board_key = signing.generate_key(self.randomness)
        issuer_key = signing.generate_key(self.randomness)
        self.auditor_key = hpke.generate_key(self.randomness)
        self.desks = {
            name: CounsellorDesk(name, hpke.generate_key(self.randomness)) for name in self.plan.desks
        }
        parameters = CommitteeParameters(
            self.plan.instance, self.plan.trustees, self.plan.threshold, self.plan.levels, self.randomness(32)
        )
        self.signed_manifest, secrets = hold_ceremony(
            parameters, self.randomness, board_key.verify_key, (self.auditor_key.public,)
        )
        self.secrets = {own.index: own for own in secrets}
        self.committee = Committee.verified(self.signed_manifest)
        self.policy = ScopePolicy(
            self.plan.instance,
            self.plan.scope_name,
            (Organisation(self.plan.organisation, issuer_key.verify_key),),
            self.plan.slots,
            self.plan.levels,
            (1, 2),
            tuple(Desk(desk.name, desk.key.public) for desk in self.desks.values()),
            self.plan.region,
            12,
            365,
            104,
            self.plan.release_blobs,
            self.plan.batch_seconds,
            1,
        )
        self.board_disk = StateDisk(self.faults, self._restore_board)
        self.issuer_disk = StateDisk(self.faults, self._restore_issuer)
        self.board_store = MemoryStore(self.board_disk)
        self.board = BoardService(self.committee, board_key, self.clock, self.board_store)
        self.issuer = IssuerService(
            self.plan.instance,
            self.policy.scope,
            self.plan.declared,
            issuer_key,
            self.clock,
            self.issuer_disk,
            IssuerState(),
        )
        self.disks = {index: Disk(self.faults) for index in self.secrets}
        self.links = {index: Link(lambda: self.board, self.faults) for index in self.secrets}
        self.trustees = {}
        for index in self.secrets:
            self.start_trustee(index)
        insist(partial(self.board.publish_policy, self.policy))
        self.settle()

    def start_trustee(self, index: int) -> None:
        """Start, or start again from its disk."""
        self.trustees[index] = TrusteeService(
            self.committee,
            self.secrets[index],
            self.links[index],
            WholeStore(self.disks[index]),
            self.clock,
            self.randomness,
            frozenset({self.policy.fingerprint}),
        )

    def enrol(self, aliases: Sequence[str]) -> None:
        """Hand out cards and redeem them; each alias becomes a reporter with a place."""
        cards = self.issuer.make_cards(len(aliases), self.randomness)
        key = self.issuer.signing_key.verify_key
        for alias, card in zip(aliases, cards, strict=True):
            member = roll.member_from_phrase(self.randomness(16), self.plan.instance, key)
            request = roll.enrol(member, self.plan.instance, key, self.randomness)
            try:
                self.issuer.enrol(card, request)
            except BoardUnreachable:  # no answer: it may have been done or not
                if all(entry.place != member.place for entry in self.issuer.state.entries):
                    insist(partial(self.issuer.enrol, card, request))
            self.reporters[alias] = Reporter(alias, member, self.committee, self.policy)
        for snapshot in insist(self.issuer.take_snapshots):
            insist(partial(self.board.publish_snapshot, snapshot))
        self.settle()

    def settle(self, rounds: int = 60) -> None:
        """Let everybody poll until nothing moves any more."""
        quiet = 0
        for _ in range(rounds):
            moved = sum(self._poll(index) for index in self.trustees)
            quiet = 0 if moved else quiet + 1
            if quiet >= (2 if not self.faulty else 6):
                return

    def run_batch(self, rounds: int = 400) -> None:
        """Let the next batch come due, and work until it is closed.

        Raises: StateConflict when it does not close, which faults may cause.
        """
        self.settle()
        before = self._closed_batches()
        self.clock.now += self.plan.batch_seconds
        insist(self.board.tick)
        for _ in range(rounds):
            for index in self.trustees:
                self._poll(index)
            phases = {trustee.status(self.policy.scope) for trustee in self.trustees.values()}
            if self._closed_batches() > before and phases == {Phase.IDLE}:
                return
            if any(trustee.halted for trustee in self.trustees.values()):
                break
        reasons = [trustee.halted for trustee in self.trustees.values() if trustee.halted]
        raise StateConflict(Code.BATCH_OPEN, f"the batch did not close {reasons}")

    def _closed_batches(self) -> int:
        return self.board.scope_record(self.policy.scope).number

    def _restore_board(self, state: object) -> None:
        if isinstance(state, BoardState):
            self.board_store.state = state

    def _restore_issuer(self, state: object) -> None:
        if isinstance(state, IssuerState):
            self.issuer.state = state

    @property
    def faulty(self) -> bool:
        """Whether anything may go wrong at all."""
        faults = self.faults
        return any(
            (
                faults.drop,
                faults.delay,
                faults.duplicate,
                faults.reorder,
                faults.corrupt,
                faults.kill,
                faults.kill_board,
            )
        )

    def _poll(self, index: int) -> int:
        try:
            return self.trustees[index].poll(self.policy.scope)
        except BoardUnreachable:
            return 0
        except Killed:
            self.kills += 1
            self.start_trustee(index)
            return 1
