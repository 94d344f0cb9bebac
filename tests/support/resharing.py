"""A re-share of a whole world, step by step, so that a test can replace any step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.world import World

from notalone_crypto.messages.committee import Dealing, Manifest, SubsetHashes, TrusteeKeys
from notalone_crypto.messages.filing import Acceptance
from notalone_crypto.messages.reshare import ReshareApproval, ReshareDealing, ResharePlan, Succession
from notalone_crypto.protocol import ceremony, intake, reshare, reshare_open, succeed, succession
from notalone_crypto.protocol.ceremony import CeremonyKeys
from notalone_crypto.protocol.evaluate import Machine
from notalone_crypto.protocol.keys import Committee, TrusteeSecrets
from notalone_crypto.protocol.reshare import Resharing
from notalone_crypto.protocol.reshare_open import Reshared
from notalone_crypto.protocol.state import Post


@dataclass(slots=True)
class Move:
    """One attempt to move a world to its next generation."""

    world: World
    rekey: bool = False
    replaced: tuple[int, ...] = ()
    dealers: tuple[int, ...] | None = None
    not_before: int = 0
    old: Committee = field(init=False)
    keys: dict[int, CeremonyKeys] = field(init=False)
    public: list[TrusteeKeys] = field(init=False)
    plan: ResharePlan = field(init=False)
    resharing: Resharing = field(init=False)
    reshared: dict[int, Reshared] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        world, self.old = self.world, self.world.committee
        parameters, generation = self.old.manifest.parameters, self.old.manifest.generation + 1
        self.keys, self.public = {}, []
        for index in self.everyone:
            kept = None if index in self.replaced else world.secrets[index].signing_key
            own, public = ceremony.create_keys(parameters, index, world.randomness, generation, kept)
            self.keys[index] = own
            self.public.append(public)
        names = tuple(
            f"successor {i}" if i in self.replaced else name for i, name in enumerate(parameters.trustees, 1)
        )
        state = world.machines[self.any_dealer].state
        self.plan = succeed.make_plan(
            self.old,
            state,
            self.public,
            names=names,
            dealers=self.dealers,
            rekey=self.rekey,
            not_before=self.not_before,
        )
        self.resharing = Resharing(
            self.old, self.plan, tuple(self.public), succeed.public_entries(state, self.plan)
        )

    @property
    def everyone(self) -> range:
        """All seats."""
        return range(1, self.old.count + 1)

    @property
    def any_dealer(self) -> int:
        """An old trustee who takes part."""
        return (self.dealers or tuple(self.everyone))[0]

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels whose keys are drawn anew."""
        return self.old.manifest.parameters.levels if self.rekey else ()

    def approvals(self) -> list[ReshareApproval]:
        """n - m + 1 old trustees who are there approve."""
        needed = self.old.count - self.old.threshold + 1
        there = [index for index in self.everyone if index in self.plan.dealers]
        return [reshare.approve(self.plan, self.world.secrets[index]) for index in there[:needed]]

    def deal(self, dealer: int) -> tuple[ReshareDealing, ...]:
        """One old trustee's honest dealings."""
        world = self.world
        return succeed.deal(
            self.old,
            world.secrets[dealer],
            world.machines[dealer].state,
            self.plan,
            self.public,
            self.approvals(),
            world.now,
            world.randomness,
        )

    def all_dealings(self) -> list[ReshareDealing]:
        """Those of all dealers."""
        return [dealing for dealer in self.plan.dealers for dealing in self.deal(dealer)]

    def contributions(self) -> list[Dealing]:
        """The ceremony's part: fresh subset keys, and fresh level keys in a re-key."""
        parameters = self.old.manifest.parameters
        made = [
            ceremony.deal(
                parameters, self.keys[index], self.public, index, self.world.randomness, self.levels
            )
            for index in self.everyone
        ]
        for dealing in made:
            ceremony.check_dealing(parameters, self.public, dealing, self.levels)
        return made

    def receive(self, dealings: Sequence[ReshareDealing]) -> None:
        """Every new trustee opens and adds up."""
        for index in self.everyone:
            self.reshared[index] = reshare_open.receive(self.resharing, self.keys[index], index, dealings)

    def combine(self, contributions: Sequence[Dealing]) -> tuple[Manifest, dict[int, TrusteeSecrets]]:
        """New secrets and the manifest."""
        parameters = self.old.manifest.parameters
        secrets: dict[int, TrusteeSecrets] = {}
        hashes: list[SubsetHashes] = []
        for index in self.everyone:
            parts = [ceremony.open_dealing(parameters, self.keys[index], index, one) for one in contributions]
            secrets[index], message = ceremony.combine(
                parameters,
                self.keys[index],
                index,
                contributions,
                parts,
                self.reshared[index].level_shares,
                self.reshared[index].transcript,
            )
            hashes.append(message)
        manifest = ceremony.assemble_manifest(
            parameters,
            self.public,
            contributions,
            hashes,
            board_key=self.old.manifest.board_key,
            auditors=self.old.manifest.auditors,
            previous=self.old.fingerprint,
            level_rows=self.reshared[1].level_rows,
            resharing=self.reshared[1].transcript,
        )
        return manifest, secrets

    def succession(self, manifest: Manifest, secrets: dict[int, TrusteeSecrets]) -> Succession:
        """Signed by everybody new and n - m + 1 old."""
        signatures = {
            index: ceremony.sign_manifest(manifest, own.signing_key) for index, own in secrets.items()
        }
        signed = ceremony.collect(manifest, signatures)
        needed = self.old.count - self.old.threshold + 1
        votes = [
            succession.vote(self.old, self.world.secrets[index], self.plan, manifest)
            for index in self.plan.dealers[:needed]
        ]
        return Succession(signed, tuple(votes))

    def finish(self) -> list[tuple[int, Post]]:
        """The whole honest way; the acceptances that were posted and delivered."""
        world = self.world
        self.receive(self.all_dealings())
        manifest, secrets = self.combine(self.contributions())
        chain = self.succession(manifest, secrets)
        committee = succession.verify_succession(self.old, Succession.decode(chain.encode()), world.now)
        handed = succeed.handover(self.old, world.machines[self.any_dealer].state)
        posts = []
        for index in self.everyone:
            state = world.machines[index].state
            if index in self.replaced:
                state = succeed.take_over(self.old, handed, self.plan)
            made = succeed.adopt(state, self.plan, committee, secrets[index], self.reshared[index])
            posts += [(index, post) for post in made]
            world.machines[index] = Machine(committee, secrets[index], state)
        world.committee, world.secrets = committee, secrets
        for sender, post in posts:
            for index, machine in world.machines.items():
                if index != sender:
                    acceptance = Acceptance.decode(post.payload)
                    intake.receive_acceptance(machine.state, world.view(), acceptance)
        return posts


def refresh(world: World, **options: object) -> list[tuple[int, Post]]:
    """An honest re-share."""
    return Move(world, **options).finish()  # type: ignore[arg-type]
