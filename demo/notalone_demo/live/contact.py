"""After the matches: consent, refusal, letters, and a desk that introduces two people.

Owns who answers what, and what each must then be able to read: by the rule in
clear that nobody reads a word before both agreed. Refuses to look anywhere but
through the clients of the people themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from notalone_client import Choice, Conversation, Desk
from notalone_demo.live.story import LiveFiled, LiveRun, insist
from notalone_demo.reference import Released
from notalone_demo.views import Read
from notalone_server.edge.secretfile import write_secret

FIRST: Final = "Bonjour, c'est {}. Je ne suis pas seule, alors ?"
ANSWER: Final = "Non. Pas maintenant les détails. Mais je suis là."


@dataclass(slots=True)
class Contact:
    """What happens after the matches of a run."""

    run: LiveRun
    observed: set[Released]
    told: Callable[[str], None]
    expected: set[Read] = field(default_factory=set)
    read: set[Read] = field(default_factory=set)

    def play(self, folder: Path) -> bool:
        """Everything below; whether each could read what the rule in clear says, and no more."""
        pairs = self._pairs()
        if pairs:
            self.both_agree(*pairs[0])
        for pair in pairs:
            if len({one.name for one in (*pair, *pairs[0])}) == 4:
                self.one_refuses(*pair)
                break
        for name in self.run.network.prepared.desk_keys:
            if self.desk_introduces(name, folder):
                break
        return self.read == self.expected

    def both_agree(self, one: LiveFiled, other: LiveFiled) -> None:
        """One agrees and sees nothing; the other agrees, too; then they write."""
        self._choose(one, other, Choice.WRITE)
        self._note(one, other)
        self.told(f"{one.name} would write to {other.name}; nothing shows whether the other would, too")
        self._choose(other, one, Choice.WRITE)
        self._write(one, other, FIRST.format(one.report.person))
        self._write(other, one, ANSWER)
        self.expected |= {
            (other.name, one.name, FIRST.format(one.report.person)),
            (one.name, other.name, ANSWER),
        }
        self._note(one, other)
        self._note(other, one)
        self.told(f"{other.name} agrees as well: now they write, under the names they chose")

    def one_refuses(self, one: LiveFiled, other: LiveFiled) -> None:
        """One agrees, the other says not now: it looks as if she had not come back."""
        self._choose(one, other, Choice.WRITE)
        silence = self._talk(one, other)
        self._choose(other, one, Choice.NOT_NOW)
        if self._talk(one, other) != silence:
            self.read.add((one.name, other.name, "a refusal"))
        self.told(f"{other.name} answers “not now”: {one.name} sees the same as before")

    def desk_introduces(self, name: str, folder: Path) -> bool:
        """The desk tells two reporters of one match; both ask, it introduces them, they agree and write."""
        prepared = self.run.network.prepared
        path = folder / f"desk-{prepared.policy.desks[0].key.hex()[:8]}.key"
        path.unlink(missing_ok=True)
        write_secret(path, prepared.desk_keys[name].secret)
        filed = {one.entry: one for one in self.run.filed}
        with Desk(self.run.trust, path, board=prepared.board.address) as desk:
            matches = [one for one in insist(desk.matches) if len(one.reporters) > 1]
            if not matches:
                return False
            one, other = (filed[reporter.entry] for reporter in matches[0].reporters[:2])
            text = "Il y a du nouveau. Au moins un autre message désigne la même personne."
            for someone in (one, other):
                insist(partial(desk.write, someone.entry, text))
                talk = self._desk_talk(someone, name)
                self.expected.add((someone.name, name, text))
                self.read |= {(someone.name, name, words) for words in talk.received}
                insist(partial(self.run.people[someone.report.person].consent, talk, Choice.WRITE))
            insist(partial(desk.introduce, one.entry, other.entry))
        self.told(f"{name} tells {one.name} and {other.name}; both ask, and it introduces them")
        self.both_agree(one, other)
        return True

    def _pairs(self) -> list[tuple[LiveFiled, LiveFiled]]:
        """People who opened one another's first introduction."""
        named = {one.name: one for one in self.run.filed}
        return [
            (named[source], named[target])
            for source, target, content in sorted(self.observed)
            if content == 1 and source < target and (target, source, 1) in self.observed
        ]

    def _talks(self, one: LiveFiled) -> Iterable[Conversation]:
        return insist(
            partial(self.run.people[one.report.person].conversations, one.sealed, one.receipt.batch)
        )

    def _talk(self, one: LiveFiled, other: LiveFiled) -> Conversation:
        return next(talk for talk in self._talks(one) if talk.entry == other.entry)

    def _desk_talk(self, one: LiveFiled, name: str) -> Conversation:
        return next(talk for talk in self._talks(one) if talk.with_desk and talk.name == name)

    def _choose(self, one: LiveFiled, other: LiveFiled, choice: Choice) -> None:
        talk = self._talk(one, other)
        insist(partial(self.run.people[one.report.person].consent, talk, choice))

    def _write(self, one: LiveFiled, other: LiveFiled, text: str) -> None:
        talk = self._talk(one, other)
        insist(partial(self.run.people[one.report.person].send, talk, text))

    def _note(self, one: LiveFiled, other: LiveFiled) -> None:
        self.read |= {(one.name, other.name, words) for words in self._talk(one, other).received}
