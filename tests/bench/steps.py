"""Every step of one filing, measured for one committee: client, acceptance, rounds, release."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from tests.bench.machine import Step, measure
from tests.support.world import World

from notalone_crypto.messages.committee import ReleaseMode
from notalone_crypto.messages.evaluation import BatchPlan, RoundOne, RoundTwo
from notalone_crypto.messages.filing import Acceptance, Filing, Header
from notalone_crypto.primitives import membership, sigma
from notalone_crypto.primitives.group import RISTRETTO255
from notalone_crypto.protocol import accept, file, record, release, rounds, statement
from notalone_crypto.protocol import withdraw as withdrawals
from notalone_crypto.protocol.entries import EntrySecrets, PublicEntry, agree, derive_secrets
from notalone_crypto.randomness import SeededStream, random_scalar

BATCH = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """One committee with ten sealed filings and their acceptances."""

    world: World
    filings: tuple[Filing, ...]
    headers: tuple[Header, ...]

    @property
    def label(self) -> str:
        """Short name."""
        return f"n={self.world.count}, m={self.world.threshold}"

    @property
    def width(self) -> int:
        """(slot, level) positions."""
        return len(statement.positions(self.world.policy))


def make_setting(count: int, threshold: int, members: int) -> Setting:
    """A real ceremony, an enrolled roll and sealed reports of different people."""
    world = World(count=count, threshold=threshold, members=members)
    sealed = [
        world.seal(number, world.report(b"subject %d" % number, 2, ReleaseMode.PEERS))
        for number in range(BATCH)
    ]
    return Setting(world, tuple(one.filing for one in sealed), tuple(one.header for one in sealed))


def client_steps(setting: Setting) -> list[Step]:
    """Sealing, and its membership part alone."""
    world = setting.world
    report = world.report(b"subject", 2)
    member = world.people[11]
    period = withdrawals.period_of(world.now, world.policy.period_days)
    whole = measure(
        "seal a filing",
        "client",
        lambda: file.seal_report(
            world.committee,
            world.policy,
            world.snapshot,
            member,
            report,
            period=period,
            spent_tags=frozenset(),
            randomness=SeededStream(b"seal"),
        ),
    )
    roll = membership.Roll(world.snapshot.places)
    blind = random_scalar(SeededStream(b"blind"))
    position = world.snapshot.places.index(member.place)
    shifted = RISTRETTO255.add(member.place, RISTRETTO255.multiply(blind, membership.BLINDING_GENERATOR))
    part = membership.Membership(roll, shifted)
    proving = measure(
        f"  of it: membership, roll of {len(roll.entries)}",
        "client",
        lambda: sigma.prove(b"bench", [part], [[position, blind]], SeededStream(b"nonces")),
    )
    return [whole, proving, whole.plus(proving, "  of it: everything else", -1)]


def acceptance_steps(setting: Setting) -> list[Step]:
    """What a trustee does with a filing before any batch."""
    world, view = setting.world, setting.world.view()
    filing, header, secrets = setting.filings[0], setting.headers[0], setting.world.secrets[1]
    data = filing.encode()
    pairs = list(zip(setting.filings, setting.headers, strict=True))
    acceptances = [
        accept.accept(world.committee, world.policy, own, filing, header) for own in world.secrets.values()
    ]
    encoded = [one.encode() for one in acceptances[1:]]

    def check_others() -> None:
        for one in encoded:
            accept.check_acceptance(world.committee, world.policy, Acceptance.decode(one), filing.fingerprint)
        agree(world.committee, acceptances)

    return [
        measure(
            "decode, cheap checks",
            "trustee",
            lambda: accept.check_cheaply(view, Filing.decode(data), frozenset(), set()),
        ),
        measure("statement, alone", "trustee", partial(_verify, view, pairs[:1])),
        measure(f"statement, among {BATCH}", "trustee", partial(_verify, view, pairs), share=BATCH),
        _membership_among(setting),
        measure(
            "open bundle, check shares",
            "trustee",
            lambda: accept.open_bundle(world.committee, secrets, filing, header),
        ),
        measure(
            "ACCEPT: commit to subset values",
            "trustee",
            lambda: accept.accept(world.committee, world.policy, secrets, filing, header),
        ),
        measure("check the others' ACCEPT", "trustee", check_others),
    ]


@dataclass(frozen=True, slots=True)
class Entries:
    """Accepted entries as every trustee holds them."""

    public: tuple[PublicEntry, ...]
    secrets: dict[int, tuple[EntrySecrets, ...]]


def accepted_entries(setting: Setting) -> Entries:
    """All of a setting's filings, accepted."""
    world = setting.world
    public, secrets = [], {index: [] for index in world.secrets}
    for filing, header in zip(setting.filings, setting.headers, strict=True):
        words = [
            accept.accept(world.committee, world.policy, own, filing, header)
            for own in world.secrets.values()
        ]
        rows = agree(world.committee, words)
        public.append(PublicEntry(header, filing.first_introduction, filing.second_introduction, rows))
        for index, own in world.secrets.items():
            shares = accept.open_bundle(world.committee, own, filing, header)
            secrets[index].append(derive_secrets(world.committee, world.policy, own, header, shares))
    return Entries(tuple(public), {index: tuple(held) for index, held in secrets.items()})


def round_steps(setting: Setting, entries: Entries, size: int, *, new: bool = True) -> list[Step]:
    """Both rounds of a batch, for one trustee, per entry; `new=False`: re-output in a new epoch."""
    world = setting.world
    chosen = entries.public[:size]
    plan = replace(_plan(world), entries=tuple(one.name for one in chosen) if new else (), epoch=int(not new))
    work = rounds.Batch(world.committee, world.policy, plan, tuple(rounds.Item(one, new) for one in chosen))
    held = {index: secrets[:size] for index, secrets in entries.secrets.items()}
    stream = SeededStream(b"rounds")

    def first(index: int) -> RoundOne:
        return rounds.make_round_one(work, world.secrets[index], held[index], stream)

    ones = {index: first(index) for index in world.secrets}
    xs, products = rounds.combine_round_one(work, ones)
    if not new:  # the opened products of the first evaluation are stored; their value does not matter here
        products = tuple(random_scalar(stream) for _ in xs)

    def second(index: int) -> RoundTwo:
        return rounds.make_round_two(work, world.secrets[index], held[index], xs, stream)

    twos = {index: second(index) for index in world.secrets}
    others_one = [one.encode() for index, one in ones.items() if index != 1]
    others_two = [two.encode() for index, two in twos.items() if index != 1]
    per = "filing" if new else "live entry"
    step = partial(measure, party="trustee", share=size, per=per)
    kind = f"batch of {size}" if new else "re-output"
    found = [
        step(f"{kind}: derive masks and zero shares", work=partial(_derive, setting, entries, size))
        if new
        else None,
        step(f"{kind}: round 1 make", work=lambda: first(1).encode()),
        step(
            f"{kind}: round 1 verify {world.count - 1} others",
            work=lambda: rounds.check_round_one(work, [RoundOne.decode(one) for one in others_one]),
        ),
        step(f"{kind}: round 1 combine", work=lambda: rounds.combine_round_one(work, ones)),
        step(f"{kind}: round 2 make", work=lambda: second(1).encode()),
        step(
            f"{kind}: round 2 verify {world.count - 1} others",
            work=lambda: rounds.check_round_two(work, [RoundTwo.decode(two) for two in others_two], xs),
        ),
        step(f"{kind}: round 2 combine", work=lambda: rounds.combine_round_two(work, twos, xs, products)),
    ]
    return [one for one in found if one is not None]


def release_step(setting: Setting) -> Step:
    """The fixed number of blobs of one batch, all noise, as in almost every batch."""
    world = setting.world
    plan = _plan(world)
    count = world.policy.release_blobs
    return measure(
        f"release blobs ({count})",
        "trustee",
        lambda: release.seal_batch(
            world.committee,
            world.secrets[1],
            plan.fingerprint,
            world.policy.scope,
            [],
            count,
            SeededStream(b"blobs"),
        ),
        per="batch",
    )


def record_step(setting: Setting, entries: Entries) -> Step:
    """The sealed record's tree and salts, per batch of ten."""
    plan = _plan(setting.world)
    names = [one.name for one in entries.public]
    return measure(
        f"record of {len(names)} entries",
        "trustee",
        lambda: record.make_record(plan, {}, {}, {}, names, []),
        per="batch",
    )


def machine_step(count: int, threshold: int, members: int, size: int) -> Step:
    """Everything through the real machines, all trustees, messages encoded and decoded, log included."""
    worlds = [make_setting(count, threshold, members) for _ in range(3)]  # a batch can be run only once
    waiting = iter(worlds)

    def whole() -> None:
        setting = next(waiting)
        setting.world.give(setting.filings[:size])
        setting.world.run_batch()

    return measure(
        f"machines end to end, batch of {size}", "all trustees", whole, share=size, repeats=len(worlds) - 1
    )


def _plan(world: World) -> BatchPlan:
    return world.plan(())


def _verify(view: accept.View, pairs: list[tuple[Filing, Header]]) -> None:
    if any(error is not None for error in accept.verify_statements(view, pairs)):
        raise RuntimeError("an honest filing was refused")


def _membership_among(setting: Setting) -> Step:
    """Membership proofs of the same number over the same roll, without the rest of the statement."""
    world = setting.world
    roll = membership.Roll(world.snapshot.places)
    items: list[sigma.ProofItem] = []
    for number in range(BATCH):
        blind = random_scalar(SeededStream(b"blind%d" % number))
        shift = RISTRETTO255.multiply(blind, membership.BLINDING_GENERATOR)
        part = membership.Membership(roll, RISTRETTO255.add(roll.entries[number], shift))
        proof = sigma.prove(b"bench", [part], [[number, blind]], SeededStream(b"nonces"))
        items.append((b"bench", [part], proof))
    return measure(
        f"  of it: membership among {BATCH}", "trustee", lambda: sigma.verify_batch(items), share=BATCH
    )


def _derive(setting: Setting, entries: Entries, size: int) -> None:
    world = setting.world
    for public, own in zip(entries.public[:size], entries.secrets[1], strict=False):
        derive_secrets(world.committee, world.policy, world.secrets[1], public.header, own.shares)
