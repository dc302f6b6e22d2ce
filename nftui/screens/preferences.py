"""What the Settings screen lists: each key of the configuration in words, and what may be chosen for it."""

from __future__ import annotations

from dataclasses import dataclass

from nftui.config import CHOICES
from nftui.engine.query import KEYS


@dataclass(frozen=True, slots=True)
class Preference:
    """A key of the configuration.

    Attributes:
        name: As TOML has it, `display.theme`.
        label: As it is listed.
        takes: What it takes, in few words.
        words: What it does, in a line.
        choices: Values to choose from; empty where one is typed.
        typed: What may be typed instead of one of these; empty where nothing may.
        fixed: Whether it is only shown: it belongs to the collector, or wants an editor.
    """

    name: str
    label: str
    takes: str
    words: str
    choices: tuple[str, ...] = ()
    typed: str = ""
    fixed: bool = False


_SLOW = "names come late, or never; and looking up tells DNS servers what you look at"

LOOK = (
    Preference("display.theme", "theme", "themes/*.toml", "colours of everything; yours stand in themes/ beside this file"),
    Preference("display.colours", "colours", "truecolor 256 16 none", "how many the terminal shows", CHOICES["colours"]),
    Preference("display.glyphs", "glyphs", "braille blocks half ascii", "characters that pictures are made of", CHOICES["glyphs"]),
    Preference(
        "display.refresh",
        "refresh",
        "0.5 1 2 5 10 s",
        "seconds between refreshes; on a slow link more, by itself",
        ("0.5", "1.0", "2.0", "5.0", "10.0"),
        "or type seconds, 0.5 to 60",
    ),
    Preference("display.units", "units", "si iec", "octets in steps of 1000 or 1024", CHOICES["units"]),
)
START = (
    Preference(
        "display.range",
        "time range",
        "as -t takes it",
        "the range that is looked at first",
        ("-5m", "-15m", "-1h", "-6h", "-24h", "-7d"),
        "or type -2h, today, all",
    ),
    Preference("display.by", "group by", "one of six", "what traffic is broken down by first", tuple(KEYS)),
    Preference(
        "display.max_values",
        "groups shown",
        "1 to 250",
        "the rest is `other`",
        ("5", "10", "15", "20", "25", "50"),
        "or type a number",
    ),
    Preference(
        "display.maximum_chart_resolution",
        "chart points",
        "2 to 1000",
        "of more, neighbours become one; 50 to 100 is a good number",
        ("50", "80", "100", "120", "200"),
        "or type a number",
    ),
)
FILTERS = Preference(
    "display.custom_filters",
    "custom filters",
    "on off",
    "whether filters may be typed and saved, or only chosen",
    ("true", "false"),
)
NAMES = (
    Preference("names.resolve", "names by DNS", "off unless you say so", _SLOW, ("false", "true")),
    Preference("names.hosts", "hosts file", "a path, or nothing", "names of your own; it goes before DNS; from the next start on"),
    Preference(
        "names.timeout",
        "DNS timeout",
        "0.1 to 60 s",
        "seconds that one look-up may take; from the next start on",
        ("1.0", "3.0", "10.0"),
        "or type seconds",
    ),
)
INTERFACES = Preference(
    "probe.interfaces", "interfaces", "Enter lists them", "whose packets become flows here; without an exporter"
)
FIXED = tuple(
    Preference(name, name, "nftui config set", words, fixed=True)
    for name, words in (
        ("names.country", "a MaxMind file of countries"),
        ("names.asn", "a MaxMind file of AS numbers"),
        ("network.home", "your networks"),
        ("store.path", "where flows are kept"),
        ("store.max_lifespan", "days that flows are kept"),
        ("store.max_size", "what the store may take"),
        ("store.min_free", "what stays free of the disk"),
        ("collector.listen", "ports that exporters send to"),
        ("collector.interval", "seconds after which a segment is sealed"),
        ("probe.bpf", "which packets become flows, as of tcpdump"),
        ("probe.promiscuous", "whether packets for others are taken, as at a mirror port"),
        ("snmp.interval", "seconds after which an exporter is asked again"),
    )
)
SECTIONS = (
    ("how it looks", LOOK),
    ("what it starts with", (*START, FILTERS)),
    ("names", NAMES),
    ("packets", (INTERFACES,)),
    ("shown only", FIXED),
)
