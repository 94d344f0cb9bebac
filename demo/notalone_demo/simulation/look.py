"""What the parties of a simulated deployment hold.

Owns where each thing is found in memory. Refuses to show it (views.py).
"""

from __future__ import annotations

from notalone_demo.runner import Filed, Run
from notalone_demo.seen import AuditorSeen, BoardSeen, IssuerSeen, PersonSeen, PublicSeen, TrusteeSeen
from notalone_demo.simulation.deployment import Deployment
from notalone_demo.views import opened_text


def board(deployment: Deployment) -> BoardSeen:
    """The board's whole feed."""
    return BoardSeen(deployment.board_store.state.scopes[deployment.policy.scope].feed)


def trustee(deployment: Deployment, index: int) -> TrusteeSeen:
    """One trustee's memory."""
    scope = deployment.trustees[index].machine.state.scopes[deployment.policy.scope]
    return TrusteeSeen(index, deployment.plan.trustees[index - 1], deployment.policy, scope)


def public(deployment: Deployment) -> PublicSeen:
    """The newest note, all leaves, the newest roll."""
    state = deployment.board_store.state
    leaves = state.scopes[deployment.policy.scope].leaves
    roll = deployment.board.newest_snapshots(deployment.policy.scope)[0]
    return PublicSeen(state.note, sorted((index, leaf) for leaf, index in leaves.items()), roll)


def issuer(deployment: Deployment) -> IssuerSeen:
    """The issuer's counts."""
    state = deployment.issuer.state
    return IssuerSeen(len(state.entries), len(state.unused_cards))


def auditor(deployment: Deployment) -> AuditorSeen:
    """The board's feed as an auditor reads it."""
    feed = deployment.board.feed(deployment.policy.scope, 0)
    return AuditorSeen(deployment.committee, feed, deployment.auditor_key, deployment.board.consistency)


def people(run: Run) -> list[PersonSeen]:
    """What each reporter and desk could open with her own keys, right now."""
    deployment = run.deployment
    names = {one.entry: one.name for one in run.filed}
    found = []
    for one in run.filed:
        reporter = deployment.reporters[one.report.person]
        counted = reporter.was_counted(deployment.board, one.position)
        opened = [
            f"{names[intro.entry]}: “{opened_text(intro)}”"
            for intro in reporter.introductions(deployment.board, one.position)
        ]
        found.append(PersonSeen(one.name, state_of(one, counted=counted), opened))
    for desk in deployment.desks.values():
        lines = []
        for number, case in enumerate(
            desk.cases(deployment.committee, deployment.policy, deployment.board), 1
        ):
            lines.append(f"match {number}: " + ", ".join(sorted(names[entry] for entry in case.members)))
            lines += [
                f"  {names[entry]}: “{text.decode()}”" for entry, text in sorted(case.second.items()) if text
            ]
        found.append(PersonSeen(desk.name, "", lines))
    return found


def state_of(one: Filed, *, counted: bool) -> str:
    """In a word."""
    if one.withdrawn:
        return "withdrawn"
    return "yes" if counted else "not yet"
