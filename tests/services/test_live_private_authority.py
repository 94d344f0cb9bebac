"""A board behind TLS whose certificate is by an authority of its operators' own."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.support.tls import Authority, in_front_of

from notalone_client import Client, Phrase, Trust
from notalone_crypto.errors import Misuse
from notalone_crypto.suite import MIN_ROLL
from notalone_demo.live.network import Network, until
from notalone_demo.live.story import PublicBoard, SyncTransport, insist
from notalone_demo.reports_file import ScopeInput
from notalone_server.edge.clock import system_clock
from notalone_server.edge.rng import system_randomness
from notalone_server.trustee import app as trustee_app
from notalone_server.trustee.ports import BoardUnreachable
from notalone_server.trustee.settings import read_settings

SCOPE = ScopeInput("test", "Test", "FR", MIN_ROLL, (2, 3), ("One", "Two", "Three"), 2, ("Desk",))


def test_trustees_and_issuer_trust_the_authority_of_their_settings_and_no_other(tmp_path: Path) -> None:
    """Their requests really go through TLS: no settings name the board's own port."""
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    folder = tmp_path / "network"
    with ExitStack() as stack:

        def told(_: str) -> None:
            """Called between the settings and the first start, too."""
            configs = sorted((*folder.glob("trustee-*/trustee.toml"), *folder.glob("issuer/issuer.toml")))
            port = 0
            for config in configs:
                lines = config.read_text("utf-8").splitlines()
                place = next(i for i, line in enumerate(lines) if line.startswith("board = "))
                if lines[place].startswith('board = "https'):
                    return
                port = port or stack.enter_context(
                    in_front_of(int(lines[place].rpartition(":")[2].strip('"')), ours.server())
                )
                lines[place] = f'board = "https://127.0.0.1:{port}"\nboard_ca_file = "../../ours.pem"'
                config.write_text("\n".join(lines), "utf-8")

        network = stack.enter_context(Network(folder, SCOPE, 2, told))  # returns once trustees cosigned
        prepared = network.prepared
        board = PublicBoard(prepared.policy.scope, SyncTransport({"board": prepared.board.address}))
        stack.callback(board.transport.close)
        trust = Trust(prepared.committee.fingerprint, prepared.policy.scope)
        client = stack.enter_context(
            Client(
                trust,
                Phrase.new(system_randomness),
                board=prepared.board.address,
                issuer=prepared.issuer.address,
            )
        )
        insist(lambda: client.enrol(prepared.cards[0]))
        until(lambda: insist(board.places) == 1, "the issuer's roll at the board")

        settings = read_settings(prepared.trustees[0].config)
        committee, own, _ = trustee_app.load_keys(settings)
        for authority, refused in ((ours.file, False), (other.file, True), (None, True)):
            changed = settings.model_copy(update={"board_ca_file": authority})
            with closing(trustee_app.open_board(changed, committee, own, system_clock)) as asked:
                if refused:
                    with pytest.raises(BoardUnreachable):
                        asked.log_update(0, 0)
                else:
                    assert asked.log_update(0, 0).note
        nothing = settings.model_copy(update={"board_ca_file": prepared.trustees[0].config})
        with pytest.raises(Misuse, match="holds no certificate"):
            trustee_app.open_board(nothing, committee, own, system_clock)
