"""What each party saw, printed: the point of the demo.

Owns the pages. Refuses to compute anything: it shows what the parties' own
state holds. Only `summary` knows the story in clear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.table import Table

from notalone_crypto.messages.contact import LETTER_LENGTH, ReplyCard
from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.primitives import checkpoint
from notalone_crypto.protocol import release, statement
from notalone_crypto.protocol.identify import SlotKind
from notalone_crypto.protocol.state import ScopeState
from notalone_demo.reference import Released
from notalone_demo.runner import Filed
from notalone_demo.seen import AuditorSeen, BoardSeen, IssuerSeen, PersonSeen, PublicSeen, TrusteeSeen

MANY = 4
Read = tuple[str, str, str]  # who reads, whose words, which words
_BOARD_LEARNS = {
    FeedKind.FILING: "that somebody filed; all of one size",
    FeedKind.ACCEPTANCE: "that a trustee could open its part",
    FeedKind.WITHDRAWAL: "that an owner took her entry back",
    FeedKind.PLAN: "which entries a batch holds",
    FeedKind.PLAN_VOTE: "nothing: sealed to trustees and auditors",
    FeedKind.ROUND_ONE: "nothing: sealed to trustees and auditors",
    FeedKind.ROUND_TWO: "nothing: sealed to trustees and auditors",
    FeedKind.RELEASES: "nothing: as many blobs in every batch, noise or not",
    FeedKind.RECORD_VOTE: "a salted hash",
}


class Ended(Protocol):
    """A run's filings and what the reference model says, whatever it ran on."""

    @property
    def filed(self) -> Sequence[Filed]:
        """In the order of the story."""

    @property
    def expected(self) -> set[Released]:
        """By the reference model."""


def short(data: bytes) -> str:
    """First bytes of something, enough to compare by eye."""
    return data[:4].hex()


def board_view(console: Console, seen: BoardSeen, since: int = 0) -> int:
    """Everything the board received after item `since`, by kind and size; the number of items now."""
    table = Table(title="What the BOARD received, all it has", title_justify="left")
    table.add_column("kind")
    table.add_column("how many", justify="right")
    table.add_column("sizes in bytes")
    table.add_column("what it can tell")
    sizes: dict[FeedKind, Counter[int]] = {}
    for item in seen.feed[since:]:
        sizes.setdefault(FeedKind(item.kind), Counter())[len(item.payload)] += 1
    for kind, counts in sizes.items():
        shown = ", ".join(str(size) for size in sorted(counts)[:4]) + (" …" if len(counts) > MANY else "")
        table.add_row(kind.name.lower(), str(sum(counts.values())), shown, _BOARD_LEARNS.get(kind, ""))
    if seen.letters:
        table.add_row("letters", str(seen.letters), str(LETTER_LENGTH), "that a match wrote; not to whom")
    console.print(table)
    return len(seen.feed)


def trustee_view(console: Console, seen: TrusteeSeen) -> None:
    """One trustee's memory of the entries: header, its share, the outputs."""
    scope = seen.scope
    places = statement.positions(seen.policy)
    title = f"What TRUSTEE {seen.index} ({seen.name}) holds, epoch {scope.epoch}"
    table = Table(title=title, title_justify="left")
    table.add_column("entry")
    table.add_column("its share")
    shown = [position for position, (slot, level) in enumerate(places) if level <= 3 and slot <= 3]
    for position in shown:
        slot, level = places[position]
        table.add_column(f"{SlotKind(slot).name.lower()[:7]} {level}")
    for entry, live in scope.live.items():
        points = scope.outlines[entry].points
        if not points:
            continue
        share = live.secrets.shares.identifiers[0].value.to_bytes(32, "little")
        cells = [short(points[position].curve) + _mark(scope, position, entry) for position in shown]
        table.add_row(short(entry), short(share), *cells)
    console.print(table)
    found = sum(len(groups) for _, groups in scope.searched.values())
    console.print(
        "  Its share of an identifier is a uniform number. Outputs look random too: a letter marks those "
        "that the finder could put together (a match, at the level in the column's head), * the second "
        "report of one person. Where thresholds are not met there is nothing to compare, whatever the names. "
        f"Matches it knows of, over all slots and levels: {found}."
    )


def auditor_view(console: Console, seen: AuditorSeen) -> None:
    """The auditor's page, made from the board's feed and the auditor's own key alone."""
    console.print("[bold]What the AUDITOR saw[/]")
    for line in seen.report().page().splitlines():
        console.print("  " + line)


def _mark(scope: ScopeState, position: int, entry: bytes) -> str:
    """A letter for an entry of a found group, a star for one that another entry stands for."""
    representatives, groups = scope.searched.get(position, ((), ()))
    for letter, group in zip("ABCDEFGHIJ", groups, strict=False):
        if entry in group:
            return f" [bold]{letter}[/]"
    return "" if entry in representatives else " *"


def public_view(console: Console, seen: PublicSeen) -> None:
    """The public log."""
    head = checkpoint.Note.decode(seen.note).checkpoint
    console.print("[bold]What the PUBLIC saw[/]")
    console.print(
        f"  log {head.origin[:24]}…, {head.size} leaves, root {short(head.root)}…, cosigned by a quorum"
    )
    leaves = [f"#{index} {short(leaf)}…" for index, leaf in seen.leaves]
    if len(leaves) > 2 * MANY:
        leaves = [*leaves[:MANY], "…", *leaves[-MANY:]]
    console.print("  leaves: " + ", ".join(leaves))
    console.print(
        "  One salted leaf for the rules and one for each batch: the same whether or not anything matched."
    )
    roll = seen.roll
    console.print(
        f"  roll: {roll.declared} declared members, {roll.enrolled} places: at most "
        f"{roll.declared - roll.enrolled} could be ghosts"
    )


def issuer_view(console: Console, seen: IssuerSeen) -> None:
    """The issuer's memory."""
    console.print("[bold]What the ISSUER saw[/]")
    console.print(
        f"  {seen.places} places (commitments), {seen.unused_cards} unused cards; "
        "no filing, no time of a filing."
    )


def people_view(console: Console, seen: Sequence[PersonSeen]) -> None:
    """What each reporter and desk could open with her own keys, right now."""
    table = Table(title="What each REPORTER and DESK can open now", title_justify="left")
    table.add_column("who")
    table.add_column("counted")
    table.add_column("opened")
    for one in seen:
        table.add_row(one.name, one.state, "\n".join(one.opened) or "[dim]nothing[/]")
    console.print(table)


def letters_view(console: Console, read: set[Read], expected: set[Read]) -> None:
    """Who could read which words after the matches, and what the rule in clear says."""
    console.rule("[bold]After the matches: who read whose words")
    for reader, writer, words in sorted(read):
        console.print(f"  {reader} reads {writer}: “{words}”")
    if read == expected:
        console.print("\n  Nobody read a word before both agreed, and a refusal looked like silence.")
    else:
        console.print(
            f"\n  [bold red]NOT as agreed[/]: missing {expected - read}, too many {read - expected}"
        )


def _why_sealed(run: Ended, one: Filed) -> str:
    """In words, from the story in clear."""
    if one.withdrawn:
        return "taken back"
    subjects = {(slot, identifier.encode()) for slot, identifier in one.report.identifiers.items()}
    same = [
        other
        for other in run.filed
        if other is not one
        and subjects & {(slot, identifier.encode()) for slot, identifier in other.report.identifiers.items()}
    ]
    others = [other for other in same if other.report.person != one.report.person and not other.withdrawn]
    if others:
        waiting = ", ".join(f"{other.name} asked for {other.report.threshold}" for other in others)
        return f"the same person is named, but {waiting}"
    if any(other.withdrawn for other in same):
        return "the other report was taken back before"
    return "she alone named this person, twice" if same else "nobody else named this person"


def opened_text(introduction: release.Introduction) -> str:
    """What an opened introduction says."""
    if introduction.content == 1:
        return ReplyCard.decode(introduction.plaintext).alias
    return introduction.plaintext.decode()


def summary(console: Console, run: Ended, observed: set[Released]) -> bool:
    """The plain ending; whether the protocol did exactly what the plaintext reference says."""
    console.rule("[bold]Who was released to whom, and who stayed sealed")
    opened: dict[str, list[str]] = {}
    for source, target, content in sorted(observed):
        what = "first introduction" if content == 1 else "second introduction"
        opened.setdefault(source, []).append(f"{what} to {target}")
    for one in run.filed:
        where = opened.get(one.name)
        threshold = one.report.threshold
        if where:
            console.print(f"  [green]opened[/]  {one.name}, who asked for {threshold}: {'; '.join(where)}")
        else:
            console.print(
                f"  [cyan]sealed[/]  {one.name}, who asked for {threshold}: {_why_sealed(run, one)}"
            )
    same = observed == run.expected
    if same:
        console.print(
            f"\n  All {len(observed)} releases are those of the plaintext reference model, and no other."
        )
    else:
        missing, extra = run.expected - observed, observed - run.expected
        console.print(
            f"\n  [bold red]NOT as the reference model says[/]: missing {missing}, too many {extra}"
        )
    return same
