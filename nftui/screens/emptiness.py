"""What stands in the place of rows where no flows were found: why there are none, and what to do."""

from __future__ import annotations

from nftui.screens.collector import Collector
from nftui.screens.view import Range, View


def words(view: View, collector: Collector, listening: str, now: int) -> tuple[str, ...]:
    """Return the lines, that which matters most first.

    Args:
        view: What was asked for.
        collector: As it describes itself.
        listening: Where exporters should send to; empty where nobody listens.
        now: Microseconds since 1970.
    """
    asked = view.range
    label = asked.label(now)
    when = "" if asked == Range() else f" in the {label}" if asked.length is not None else f" in {label}"
    if view.text:
        return (f"no flows match the filter{when}", "F clears the filter, t chooses another range")
    if collector.problem:
        return ("the collector ended:", collector.problem, "r asks again, q leaves")
    if asked.interval is not None:
        return (f"no flows{when}", "0 returns to now, t chooses another range, all that is held among them")
    if collector.state == "running" and collector.exporters:
        sent = "1 exporter has sent" if collector.exporters == 1 else f"{collector.exporters} exporters have sent"
        return (f"no flows{when or ' yet'}, but {sent}:", "t, then all, shows flows of other times, if a clock is wrong")
    if collector.state == "running" and collector.probes:
        from nftui.screens.probes import awaited

        return awaited(collector.probes)
    if not listening:
        return ("no flows yet: start `nftui collect`, or run `nftui demo`", f"asked: {label}; t chooses another range")
    return (
        f"no flows yet: point an exporter at {listening}",
        "or have the packets of an interface here become flows: 7, then p",
        "`nftui demo` simulates a network; t chooses another range",
    )
