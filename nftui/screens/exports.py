"""What a screen offers to be written to a file, from what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath

from rich.terminal_theme import SVG_EXPORT_THEME
from textual.screen import Screen

from nftui.engine import keys
from nftui.engine.matrix import Matrix
from nftui.engine.query import Answer, BackEnd, Kind
from nftui.engine.resolving import Resolver
from nftui.export import exportables
from nftui.export.exportables import SUFFIXES, Exportable, Names
from nftui.screens.questions import Reply
from nftui.screens.svg import svg
from nftui.screens.widgets.flow_table import FlowTable


def of_reply(reply: Reply, back_end: BackEnd, resolver: Resolver | None = None, *, iec: bool = False) -> Iterator[Exportable]:
    """Yield all that a reply holds: lists, series, matrices, those of its further answers behind.

    Args:
        reply: What the screen shows.
        back_end: Asked once more where a file tells what the screen does not.
        resolver: Knows what addresses are called; None where names aren't shown.
        iec: Whether octets are told in steps of 1024.
    """
    names = None if resolver is None else resolver.look
    yield from _of_answer(reply.main, back_end, "", names, iec=iec)
    for name, more in reply.more.items():
        if isinstance(more, Matrix):
            title = f"matrix of {len(more.elements)} {more.key}"
            yield exportables.pairs(more, reply.main.query.measure, title, iec=iec)
        elif isinstance(more, Answer):
            yield from _of_answer(more, back_end, f"{name}: ", names, iec=iec)


def _of_answer(answer: Answer, back_end: BackEnd, before: str, names: Names | None, *, iec: bool) -> Iterator[Exportable]:
    query = answer.query
    if query.kind is Kind.FLOWS:
        shown = 0 if answer.flows is None else answer.flows.height
        if shown < answer.total.flows:
            yield exportables.records(back_end, query, f"{before}{shown:,} flows shown", iec=iec)
        yield exportables.records(back_end, replace(query, limit=None), f"{before}all {answer.total.flows:,} flows", iec=iec)
        return
    count = answer.groups.height
    if not query.keys:
        yield exportables.ranked(back_end, query, f"{before}totals", iec=iec)
    else:
        by = " ".join(keys.key(name).label for name in query.keys)
        yield exportables.ranked(back_end, query, f"{before}top {count:,} by {by}", iec=iec, names=names)
        if count < answer.group_count:
            every = replace(query, limit=None, only=None)
            yield exportables.ranked(back_end, every, f"{before}all {answer.group_count:,} by {by}", iec=iec, names=names)
    if answer.series is not None and answer.series.height:
        yield exportables.series(back_end, answer, f"{before}series of {answer.series.height} samples", iec=iec)


def of_table(table: FlowTable, name: str) -> Iterator[Exportable]:
    """Yield a table as it is shown, all of its rows and columns."""
    frame = table.frame
    columns = [column for column in table.columns if column.label]
    if frame is None or frame.is_empty() or not columns:
        return

    def cells() -> Iterable[list[str]]:
        for place, row in enumerate(frame.iter_rows(named=True)):
            yield [column.text(place, row).strip() for column in columns]

    yield exportables.table(name, f"table of {frame.height:,} rows", [column.label for column in columns], cells)


def picture(screen: Screen[None], title: str) -> str:
    """Return a screen as SVG that loads nothing from elsewhere: the fonts are those of the reader."""
    ground = screen.app.theme_variables["background"]
    ground = ground if ground.startswith("#") else SVG_EXPORT_THEME.background_color.hex
    return svg(screen._compositor.render_strips(), screen.size.width, ground, title)


def file_name(tab: str, what: str, form: str, moment: str) -> str:
    """Return the name of a file that is proposed: `nftui-live-top-20261123-210005.csv`."""
    kind = "" if form == "svg" else f"-{what}"
    return f"nftui-{tab}{kind}-{moment}.{SUFFIXES[form]}"


def with_suffix(name: str, form: str) -> str:
    """Return a name that was typed, for another form; one that ends in no known way stays."""
    path = PurePath(name)
    known: Mapping[str, str] = {f".{suffix}": form for form, suffix in SUFFIXES.items()}
    return name[: -len(path.suffix)] + f".{SUFFIXES[form]}" if path.suffix in known else name
