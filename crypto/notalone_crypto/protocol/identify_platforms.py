"""The table of platforms: hosts, alphabets and path forms, one row per site.

Owns what a site's account names and addresses look like. Refuses to know how a
row is applied (specs/50-identifiers.md#accounts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from notalone_crypto.protocol.identify_text import word_set
from notalone_crypto.protocol.identify_types import Platform


@dataclass(frozen=True, slots=True)
class Rule:
    """How one platform writes its accounts; every word is lower case."""

    hosts: frozenset[str]
    alphabet: str  # the whole folded handle
    folders: frozenset[str] = frozenset()  # path segments that may precede the handle
    plain: bool = True  # in an address the handle may come first, without folder or @
    reserved: frozenset[str] = frozenset()  # first segments that are no account
    tails: frozenset[str] = frozenset()  # segments that may follow the handle
    signs: str | None = None  # set when letters outside ASCII are allowed: the other signs
    dots: bool = True  # False: dots mean nothing and are dropped


RULES: Final[dict[Platform, Rule]] = {
    Platform.INSTAGRAM: Rule(
        word_set("instagram.com instagr.am threads.net threads.com"),  # one account name serves both sites
        r"(?!\.)(?!.*\.\.)[a-z0-9._]{1,30}(?<!\.)",
        folders=word_set("_u stories"),
        reserved=word_set("p reel reels tv explore accounts direct about developer legal s share"),
        tails=word_set("reels tagged feed channel guides followers following replies post"),
    ),
    Platform.FACEBOOK: Rule(
        word_set("facebook.com fb.com fb.me messenger.com m.me"),
        r"[a-z0-9]{3,50}",
        folders=word_set("t"),
        reserved=word_set(
            "groups pages events watch marketplace share sharer sharer.php login login.php story.php",
            "photo.php permalink.php photo hashtag reel stories help settings messages gaming",
            "profile.php people p home.php",
        ),
        tails=word_set("about photos posts friends videos reels photos_by following followers map"),
        dots=False,
    ),
    Platform.X: Rule(
        word_set("x.com twitter.com"),
        r"[a-z0-9_]{1,15}",
        reserved=word_set(
            "home i search hashtag intent share explore settings messages notifications login tos privacy"
        ),
        tails=word_set("status with_replies media likes followers following highlights articles photo"),
    ),
    Platform.LINKEDIN: Rule(
        word_set("linkedin.com"),
        r"[^\s]{3,100}",
        folders=word_set("in"),
        plain=False,
        tails=word_set("details recent-activity overlay"),
        signs="0123456789-",
    ),
    Platform.TIKTOK: Rule(
        word_set("tiktok.com"),
        r"[a-z0-9_.]{1,24}(?<!\.)",
        plain=False,
        tails=word_set("video photo live playlist"),
    ),
    Platform.SNAPCHAT: Rule(
        word_set("snapchat.com"),
        r"[a-z][a-z0-9._-]{2,14}",
        folders=word_set("add u"),
        plain=False,
        tails=word_set("spotlight"),
    ),
    Platform.YOUTUBE: Rule(
        word_set("youtube.com"),
        r"[^\s]{1,30}",
        plain=False,
        reserved=word_set("c user"),
        tails=word_set("videos shorts streams playlists community featured about posts"),
        signs="0123456789_-.\u00b7",
    ),
    Platform.GITHUB: Rule(
        word_set("github.com"),
        r"[a-z0-9][a-z0-9-]{0,38}",
        reserved=word_set(
            "orgs users topics features settings about login search marketplace sponsors apps explore"
        ),
    ),
    Platform.TELEGRAM: Rule(
        word_set("t.me telegram.me telegram.dog"),
        r"[a-z][a-z0-9_]{3,31}",
        folders=word_set("s"),
        reserved=word_set("joinchat share addstickers proxy socks c addlist addemoji login invoice"),
    ),
    Platform.DISCORD: Rule(
        word_set("discord.com discordapp.com"), r"(?!.*\.\.)[a-z0-9_.]{2,32}", plain=False
    ),
    Platform.BLUESKY: Rule(
        word_set("bsky.app"),
        r"[a-z0-9.-]{3,253}",
        folders=word_set("profile"),
        plain=False,
        tails=word_set("post"),
    ),
    Platform.REDDIT: Rule(
        word_set("reddit.com"),
        r"[a-z0-9_-]{3,20}",
        folders=word_set("user u"),
        plain=False,
        tails=word_set("comments submitted overview about"),
    ),
    Platform.TWITCH: Rule(
        word_set("twitch.tv"),
        r"[a-z0-9_]{3,25}",
        reserved=word_set("directory videos settings p jobs downloads search"),
        tails=word_set("about videos schedule clips"),
    ),
}
WHATSAPP_HOSTS: Final = word_set("wa.me whatsapp.com")
HOST_OF: Final = {host: platform for platform, rule in RULES.items() for host in rule.hosts}
ALIASES: Final = {
    **{platform.value: platform for platform in Platform},
    "twitter": Platform.X,
    "mastodon": Platform.FEDIVERSE,
    "acct": Platform.FEDIVERSE,
    "threads": Platform.INSTAGRAM,
}
