"""What each party saw, printed: the point of the demo.

Owns the pages. Refuses to compute anything: it shows what the parties' own
state holds. Only `summary` knows the story in clear.
"""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from notalone_crypto.messages.feed import FeedKind
from notalone_crypto.primitives import checkpoint
from notalone_crypto.protocol import statement
from notalone_crypto.protocol.identify import SlotKind
from notalone_demo.reference import Released
from notalone_demo.runner import Run
from notalone_demo.simulation.deployment import Deployment


def short(data: bytes) -> str:
    """First bytes of something, enough to compare by eye."""
    return data[:5].hex()


def board_view(console: Console, deployment: Deployment) -> None:
    """Everything the board stores, by kind and size."""
    scope = deployment.board.state.scopes[deployment.policy.scope]
    table = Table(title="What the BOARD saw (its whole memory)", title_justify="left")
    table.add_column("kind")
    table.add_column("how many", justify="right")
    table.add_column("sizes in bytes")
    sizes: dict[FeedKind, Counter[int]] = {}
    for item in scope.feed:
        sizes.setdefault(FeedKind(item.kind), Counter())[len(item.payload)] += 1
    for kind, counts in sizes.items():
        shown = ", ".join(str(size) for size in sorted(counts)[:4]) + (" …" if len(counts) > 4 else "")
        table.add_row(kind.name.lower(), str(sum(counts.values())), shown)
    console.print(table)
    per_batch = {sum(len(blobs) for blobs in batch.values()) for batch in scope.blobs.values()}
    console.print(
        f"  Every filing has one size. Votes and rounds are sealed to trustees and auditors. Release blobs: "
        f"{', '.join(map(str, sorted(per_batch)))} in every batch, match or no match, all of one size."
    )


def trustee_view(console: Console, deployment: Deployment, index: int) -> None:
    """One trustee's memory of the entries: header, its shares, the outputs."""
    service = deployment.trustees[index]
    scope = service.machine.state.scopes[deployment.policy.scope]
    name = deployment.plan.trustees[index - 1]
    places = statement.positions(deployment.policy)
    table = Table(title=f"What TRUSTEE {index} ({name}) saw, epoch {scope.epoch}", title_justify="left")
    table.add_column("entry")
    table.add_column("its share")
    shown = [position for position, (slot, level) in enumerate(places) if level in (2, 3) and slot <= 3]
    for position in shown:
        slot, level = places[position]
        table.add_column(f"{SlotKind(slot).name.lower()[:7]} {level}")
    counts = [Counter(live.points[position].curve for live in scope.live.values() if live.points) for position in shown]
    for entry, live in scope.live.items():
        if not live.points:
            continue
        share = live.secrets.shares.identifiers[0].value.to_bytes(32, "little")
        cells = []
        for position, count in zip(shown, counts, strict=True):
            curve = live.points[position].curve
            text = short(curve)
            twice = places[position][1] == 2 and count[curve] > 1
            cells.append(f"[bold reverse]{text}[/]" if twice else text)
        table.add_row(short(entry), short(share), *cells)
    console.print(table)
    found = sum(len(groups) for groups in scope.searched.values() for groups in [groups[1]])
    console.print(
        "  Its share of an identifier is a uniform number. An output is the same for two entries (reversed above, "
        "level 2) only when the threshold of both was met, or when one person filed twice; a report that waits for "
        f"3 shows other values in the columns of level 2. Matches so far, over all slots and levels: {found}."
    )


def public_view(console: Console, deployment: Deployment) -> None:
    """The public log."""
    state = deployment.board.state
    head = checkpoint.Note.decode(state.note).checkpoint
    scope = state.scopes[deployment.policy.scope]
    leaves = sorted(scope.leaves.items(), key=lambda pair: pair[1])
    console.print("[bold]What the PUBLIC saw[/]")
    console.print(f"  log {head.origin[:24]}…, {head.size} leaves, root {short(head.root)}…, cosigned by a quorum")
    console.print("  leaves: " + ", ".join(f"#{index} {short(leaf)}…" for leaf, index in leaves))
    console.print("  One salted leaf for the rules and one for each batch: the same whether or not anything matched.")
    roll = deployment.board.newest_snapshots(deployment.policy.scope)[0]
    console.print(f"  roll: {roll.declared} declared members, {roll.enrolled} places, so at most {roll.declared - roll.enrolled} unknown")


def issuer_view(console: Console, deployment: Deployment) -> None:
    """The issuer's memory."""
    state = deployment.issuer.state
    console.print("[bold]What the ISSUER saw[/]")
    console.print(
        f"  {len(state.entries)} places (commitments), {len(state.unused_cards)} unused cards, no filing, no time of a filing."
    )


def people_view(console: Console, run: Run) -> None:
    """What each reporter and desk could open with her own keys, right now."""
    deployment = run.deployment
    names = {one.entry: one.name for one in run.filed}
    table = Table(title="What each REPORTER and DESK can open now", title_justify="left")
    table.add_column("who")
    table.add_column("counted")
    table.add_column("opened")
    for one in run.filed:
        reporter = deployment.reporters[one.report.person]
        counted = reporter.was_counted(deployment.board, one.position)
        opened = [
            f"{names[intro.entry]}: “{intro.plaintext.decode()}”"
            for intro in reporter.introductions(deployment.board, one.position)
        ]
        state = "withdrawn" if one.withdrawn else ("yes" if counted else "not yet")
        table.add_row(one.name, state, "\n".join(opened) or "[dim]nothing[/]")
    for desk in deployment.desks.values():
        cases = desk.cases(deployment.committee, deployment.policy, deployment.board)
        lines = []
        for number, case in enumerate(cases, 1):
            lines.append(f"match {number}: " + ", ".join(sorted(names[entry] for entry in case.members)))
            lines += [
                f"  {names[entry]}: “{text.decode()}”" for entry, text in sorted(case.second.items()) if text
            ]
        table.add_row(desk.name, "", "\n".join(lines) or "[dim]nothing[/]")
    console.print(table)


def summary(console: Console, run: Run, observed: set[Released]) -> bool:
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
            why = " (withdrawn)" if one.withdrawn else ""
            console.print(f"  [cyan]sealed[/]  {one.name}, who asked for {threshold}{why}")
    same = observed == run.expected
    if same:
        console.print(f"\n  All {len(observed)} releases are those of the plaintext reference model, and no other.")
    else:
        missing, extra = run.expected - observed, observed - run.expected
        console.print(f"\n  [bold red]NOT as the reference model says[/]: missing {missing}, too many {extra}")
    return same
