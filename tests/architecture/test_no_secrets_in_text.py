"""CONV-8 over a whole run: no error text, repr or party's page holds what it must not.

Every NotAloneError made while the sample story runs, and while its bytes are
damaged on purpose, is recorded where it is made; then every state that parties
keep is printed. What is looked for: identifiers in any form, people's names,
words, and every secret scalar or key in decimal, hexadecimal or as bytes.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from notalone_crypto.errors import NotAloneError
from notalone_crypto.messages.filing import Filing
from notalone_crypto.messages.wire import Message
from notalone_demo import views
from notalone_demo.reports_file import read_story
from notalone_demo.runner import Run
from notalone_demo.simulation import look

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "university.json"


@dataclasses.dataclass(frozen=True)
class Told:
    """A finished run and the text of every error made during it."""

    run: Run
    errors: tuple[str, ...]


def damaged(data: bytes) -> Iterator[bytes]:
    """Copies with one byte changed or missing, all over."""
    for place in range(0, len(data), max(1, len(data) // 60)):
        yield data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        yield data[:place]


@cache
def told() -> Told:
    errors: list[str] = []
    original = NotAloneError.__init__

    def note(self: NotAloneError, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)  # type: ignore[arg-type]
        errors.append(str(self) + repr(self) + repr(self.args))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NotAloneError, "__init__", note)
        whole = read_story(SAMPLE)
        story = dataclasses.replace(whole, reports=tuple(one for one in whole.reports if one.batch == 1)[:6])
        run = Run.start(story, b"no secrets", lambda _: None)
        for _ in run.batches(lambda _: None):
            pass
        for one in run.filed[:2]:
            sealed = run.deployment.reporters[one.report.person].filed[one.position]
            for data in damaged(sealed.filing.encode()):
                try:
                    run.deployment.board.submit_filing(data)
                except NotAloneError:
                    continue
        for item in run.deployment.board.feed(run.deployment.policy.scope, 0)[:40]:
            for kind in Message.__subclasses__():
                try:
                    kind.decode(item.payload)
                except NotAloneError:
                    continue
    return Told(run, tuple(errors))


@cache
def personal() -> tuple[str, ...]:
    """People, words and identifiers of the story: what nobody but their owners may read."""
    found: set[str] = set()
    for report in told().run.story.reports:
        found |= {report.person, report.words}
        for identifier in report.identifiers.values():
            data = identifier.encode()
            found |= {data.hex(), repr(data)[2:-1]}
    found |= {
        "laurent.morel",
        "Laurent",
        "lmorel",
        "paul.renaud",
        "612345678",
        "coach_sam",
        "Claire Fontaine",
    }
    return tuple(sorted(one for one in found if len(one) > 2))


def scalars() -> Iterator[int]:
    run = told().run
    for own in run.deployment.secrets.values():
        for share in own.level_shares.values():
            yield from (share.value, share.blind)
        yield own.bundle_key.secret
    for trustee in run.deployment.trustees.values():
        for live in trustee.machine.state.scopes[run.deployment.policy.scope].live.values():
            for share in (*live.secrets.shares.identifiers, *live.secrets.masks, *live.secrets.zeros):
                yield from (share.value, share.blind)
    for reporter in run.deployment.reporters.values():
        yield from (reporter.member.secret, reporter.member.blind)


def keys() -> Iterator[bytes]:
    run = told().run
    for own in run.deployment.secrets.values():
        yield from (own.signing_key.seed, own.channel_key.secret, *own.subset_keys.values())
    yield from (desk.key.secret for desk in run.deployment.desks.values())
    yield from (run.deployment.board.signing_key.seed, run.deployment.issuer.signing_key.seed)
    for reporter in run.deployment.reporters.values():
        yield reporter.member.phrase_key
        for sealed in reporter.filed:
            owner = sealed.owner
            yield from (owner.signing_key.seed, owner.recipient_key.secret, owner.reply_key.secret)
            yield owner.reply_key.public  # seals nothing, but stands in no text before a match


@cache
def secret_texts() -> frozenset[str]:
    texts = set()
    for scalar in scalars():
        raw = scalar.to_bytes(32, "little")
        texts |= {str(scalar), raw.hex(), raw[::-1].hex(), repr(raw)[2:-1]}
    for key in keys():
        texts |= {key.hex(), repr(key)[2:-1], str(int.from_bytes(key, "big"))}
    return frozenset(text for text in texts if len(text) > 20)


def clean(text: str) -> None:
    for one in personal():
        assert one not in text, f"{one!r} is in a text"
    tokens = set(re.findall(r"[0-9]{20,}|[0-9a-f]{64}", text)) | set(
        re.findall(r"b['\"]((?:[^'\\]|\\.)*)['\"]", text)
    )
    assert not tokens & secret_texts(), "a secret number or key is in a text"


def test_the_search_would_find_something() -> None:
    """Control: the needles are there, and a text that holds one is found."""
    assert len(personal()) > 20
    assert len(secret_texts()) > 500
    share = next(scalars())
    for needle in (
        personal()[0],
        personal()[-1],
        str(share),
        share.to_bytes(32, "big").hex(),
        repr(next(keys())),
    ):
        with pytest.raises(AssertionError):
            clean(f"before {needle} after")


def test_no_error_text_holds_a_secret_an_identifier_or_words() -> None:
    """CONV-8."""
    assert len(told().errors) > 300
    for text in sorted(set(told().errors)):
        clean(text)


def test_no_repr_of_a_state_or_of_secrets_holds_one() -> None:
    deployment = told().run.deployment
    printed: list[object] = [
        deployment.board_store.state,
        deployment.issuer.state,
        deployment.signed_manifest,
    ]
    printed += list(deployment.secrets.values())
    for trustee in deployment.trustees.values():
        printed += [trustee.machine, trustee.machine.secrets]
        printed += [
            live.public for live in trustee.machine.state.scopes[deployment.policy.scope].live.values()
        ]
        printed += [
            live.secrets for live in trustee.machine.state.scopes[deployment.policy.scope].live.values()
        ]
        printed += [trustee.machine.state.scopes[deployment.policy.scope]]
    for reporter in deployment.reporters.values():
        printed += [reporter.member, *reporter.filed]
    printed += list(deployment.desks.values())
    for one in printed:
        clean(repr(one))


def test_no_page_of_trustee_board_issuer_or_public_holds_one() -> None:
    """The trustee's page shows the first bytes of a share on purpose; no whole one."""
    deployment = told().run.deployment
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    for index in deployment.trustees:
        views.trustee_view(console, look.trustee(deployment, index))
    views.board_view(console, look.board(deployment))
    views.issuer_view(console, look.issuer(deployment))
    views.public_view(console, look.public(deployment))
    views.auditor_view(console, look.auditor(deployment))
    text = stream.getvalue()
    assert "TRUSTEE" in text
    clean(text)


def test_what_the_board_carries_holds_none_either() -> None:
    """Not even as bytes inside filings and envelopes."""
    deployment = told().run.deployment
    carried = b"".join(item.payload for item in deployment.board.feed(deployment.policy.scope, 0))
    assert any(
        Filing.decode(item.payload)
        for item in deployment.board.feed(deployment.policy.scope, 0)
        if item.kind == 2
    )
    for one in personal():
        if len(one) > 4:  # three letters occur by chance
            assert one.encode() not in carried
    for key in keys():
        assert key not in carried
    for scalar in scalars():
        assert scalar.to_bytes(32, "little") not in carried
