"""Published prototypes in our unit, as cited in the project's design notes (not measured by this command).

Unit: one libsodium ristretto255 variable-base multiplication on the same core
in the same minute; all parties together, one filing; their languages and
libraries are in the figure. Measured once on a machine of this kind, +-15 %.
"""

from __future__ import annotations

PEERS: tuple[tuple[str, str, int, str], ...] = (
    ("SAE (NDSS'20), authors' Java", "n=3, no secrecy from one server", 13_600, "145,000 at N = 1 M"),
    ("SAE (NDSS'20), authors' Java", "n=5 (2 of 5): the fair comparison", 41_000, "145,000 at N = 1 M"),
    ("WhoToo+ (2021), authors' Python/Charm", "n=3, k=2", 45_000, "596,000 at N = 1,000"),
    ("WhoToo+ (2021), authors' Python/Charm", "n=6, k=4", 149_000, "241,000 at N = 100"),
    ("Callisto, gallisto in Go", "one key server, no distributed trust", 183, "flat; batch scan to match"),
)
