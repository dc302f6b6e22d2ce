"""The Summary screen: what the traffic is made of, panel by panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid

from nftui.engine.query import Answer, Interval, Query
from nftui.screens.breakdown import Breakdown
from nftui.screens.dimensions import EXPLORER, FIRST, INSTEAD, OFFERED, TREND, Dimension, Shape, dimension
from nftui.screens.investigation import MEASURES, InvestigationScreen
from nftui.screens.portions import Portion, Told, moved
from nftui.screens.questions import Question, Reply
from nftui.screens.totals import first_line, second_line
from nftui.screens.view import DAY, Range, time_text
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line, Part
from nftui.screens.widgets.panel import PARTS, VIEWS, Panel
from nftui.screens.widgets.prompt import Prompt
from nftui.units import SECOND

if TYPE_CHECKING:
    from nftui.export.exportables import Exportable

LATE = 60 * SECOND
"""How far into the period before flows may begin without a word."""
OLD_S = 5
"""Seconds after which a panel tells its age."""


class SummaryScreen(InvestigationScreen):
    """What the traffic is made of, panel by panel: the one that has the keys is asked for first."""

    TAB = "summary"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "summary.tcss"]
    AUTO_FOCUS = "#panel-0"
    FOOTER = (
        ("summary.next", ""), ("table.open", "Filter"), ("view.by", ""), ("summary.view", ""), ("view.compare", ""),
        ("view.filter", ""), ("view.range", ""), ("view.help", ""), ("view.export", ""), ("app.quit", ""), ("summary.maximise", ""),
        ("summary.explore", ""), ("summary.order", ""), ("view.measure", ""), ("view.exclude", ""), ("view.only", ""),
        ("view.pause", ""), ("table.find", ""), ("table.copy", ""),
    )  # fmt: skip
    ELSEWHERE: ClassVar[dict[str, str]] = {
        "resolution": "Live shows samples", "others": "others on Live and Map", "limit": "Live and Map show so many groups",
    }  # fmt: skip
    SIGNS = (
        *InvestigationScreen.SIGNS,
        "panels",
        "  bars are relative to the longest; of an interface to its speed, where that is known",
        "  a number behind a heading is how old the panel is: they are asked for in turn",
        "  Enter on an hour makes it the range; 0 returns to now",
        "  compare: +12% more than in the period before, by the mean rate; new: none then",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next(1)", "Panel", key_display="tab", id="summary.next", tooltip="To the next panel"),
        Binding("shift+tab", "next(-1)", "Panel before", show=False, id="summary.back", tooltip="To the panel before"),
        Binding("v", "view", "View", id="summary.view", tooltip="Bars, table, donut, treemap"),
        Binding("z", "maximise", "Maximise", id="summary.maximise", tooltip="This panel alone, or all of them"),
        Binding("s", "order", "Sort", show=False, id="summary.order", tooltip="Rank by octets, packets or flows in turn"),
        Binding("x", "explore", "Explore", id="summary.explore", tooltip="Listeners, talkers, TCP and UDP ports"),
        Binding("backspace", "up", "Back", show=False, id="summary.up", tooltip="Undo the last step down"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.dimensions: list[Dimension] = [dimension(name) for name in FIRST]
        self.told = [Told() for _ in FIRST]
        self.views = [VIEWS[0] for _ in FIRST]
        self._chosen: set[int] = set()
        self._front = 0
        self._taken: Reply | None = None
        self._steps: dict[int, tuple[int, int, Dimension]] = {}
        self._waits: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield Line(id="path")
        yield Line(id="totals")
        yield Line(id="more")
        with Grid(id="panels"):
            for place in range(len(FIRST)):
                yield Panel(id=f"panel-{place}")
        yield Line(id="keys")

    @property
    def panels(self) -> list[Panel]:
        """The panels, in the order of Tab."""
        return list(self.query(Panel))

    @property
    def table(self) -> FlowTable:
        """The panel that has the keys."""
        return self.query_one(f"#panel-{self._front}", Panel)

    @property
    def panel(self) -> Panel:
        """The panel that has the keys."""
        return self.query_one(f"#panel-{self._front}", Panel)

    # What is asked

    def question(self) -> Question:
        """Return the totals, and what is most due of the panels."""
        main = self._main()
        return self._portion(main) or Portion(main)

    def _main(self) -> Query:
        return replace(self.view.groups(self.host.clock()), keys=(), limit=1, ascending=False)

    def _portion(self, main: Query, known: Answer | None = None, *, waiting: bool = False) -> Portion | None:
        """Return what is most due of the panels, None where nothing is.

        What was not asked yet goes before what is known of late, the panel with the keys before others, the oldest before newer.

        Args:
            main: The totals.
            known: An answer to them that will do.
            waiting: Whether only what was not asked yet is looked at.
        """
        flows = 0 if self.answer is None else self.answer.total.flows
        follows, refresh = self.view.follows, self.host.display_settings.refresh
        found: list[tuple[tuple[bool, bool, bool, float], Portion]] = []
        for place in [self._front] if self.alone else range(len(FIRST)):
            told, wanted, (queries, before) = self.told[place], self.dimensions[place], self._wanted(place)
            asked = told.same(queries, before, follows)
            if not (asked and waiting) and told.due(queries, before, refresh, follows, flows):
                # Days by hours reach back furthest, and cost most.
                last = wanted.shape is Shape.HOURS and place != self._front
                portion = Portion(main, place, queries, before, known, wanted.shape is Shape.INTERFACES)
                found.append(((asked, last, place != self._front, -told.age if asked else place), portion))
        return min(found, key=lambda one: one[0])[1] if found else None

    def _wanted(self, place: int) -> tuple[tuple[Query, ...], Interval | None]:
        """Return what a panel asks now, and the period that it is compared with."""
        view, now, wanted = self.view, self.host.clock(), self.dimensions[place]
        roomy = wanted.shape is Shape.RANKED and not wanted.either and self.has_class("-full")
        seen = None if self.answer is None else self.answer.interval
        queries = wanted.queries(view, now, TREND if roomy else 0, seen)
        interval = view.interval(now)
        if not view.compare or interval is None or wanted.shape is Shape.HOURS:
            return queries, None
        return queries, Interval(interval.start - interval.length, interval.start)

    def show_answer(self) -> None:
        """Take what came back, show it, and ask for what is due next."""
        if not self.is_attached:
            return
        asked, reply = self.asked, self.reply
        fresh = reply is not None and reply is not self._taken
        if fresh and reply is not None and isinstance(asked, Portion):
            self._taken = reply
            if asked.panel >= 0:
                self.told[asked.panel].take(asked, reply)
                self._fall_back(asked.panel)
        self._show_lines()
        for place in range(len(FIRST)):
            self._show_panel(place)
        self._put_back()
        if fresh and not self.problem and asked is not None and reply is not None and reply.main.query == asked.main:
            self._ask_on(asked.main, reply.main)

    def _ask_on(self, main: Query, known: Answer) -> None:
        """Ask for the panel that is due next, with totals that are known; what was changed meanwhile waits already.

        Totals that have moved along are asked for first, but where a panel has nothing yet.
        """
        now = self._main()
        if main != now and not (self.view.follows and moved(main, now)):
            return
        portion = self._portion(main, known, waiting=main != now)
        if portion is not None and self._asker is not None and not self._asker.busy:
            self.asked = portion
            self._asker.ask(portion)

    def _fall_back(self, place: int) -> None:
        """Show something else in the place of what flows tell nothing of, unless it was chosen."""
        name, told = self.dimensions[place].name, self.told[place]
        if place not in self._chosen and name in INSTEAD and told.answers:
            shown = Breakdown(self.dimensions[place], told, self.view.measure, self.host.clock())
            if not shown.empty and shown.unknown:
                self.dimensions[place] = dimension(INSTEAD[name])

    # What is shown

    def on_resize(self, _: events.Resize) -> None:
        """Lay out for the new size."""
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self._lay_out)

    @property
    def alone(self) -> bool:
        """Whether one panel is shown in the place of all."""
        return self.small or self.has_class("-alone")

    def _lay_out(self) -> None:
        """Show the panels there is room for, with a line between those side by side."""
        across = 3 if self.has_class("-full") else 2
        for place, panel in enumerate(self.panels):
            panel.display = not self.alone or place == self._front
            panel.edge = not self.alone and place % across > 0
        self.show_answer()

    def show_edges(self) -> None:
        """Show the lines at the edges, and the age of the panels."""
        super().show_edges()
        if self.is_current and self.is_attached:
            for place, panel in enumerate(self.panels):
                remark = self._remark(place)
                if panel.remark != remark:
                    panel.remark = remark
                    panel.repaint()

    def _remark(self, place: int) -> str:
        told, wanted = self.told[place], self.dimensions[place]
        words = []
        if told.answers and wanted.shape is Shape.RANKED and self.alone:
            words.append(f"{told.answers[0].group_count:,} in all")
        if told.answers and self.view.follows and told.age >= max(OLD_S, 2 * self.host.display_settings.refresh):
            words.append(f"{told.age:.0f}s old")
        return ", ".join(words)

    def _show_lines(self) -> None:
        view, answer = self.view, self.answer
        self.set_class(bool(view.path), "-path")
        left = [Part(" path: ", "dim"), Part("all")]
        for place, step in enumerate(view.path):
            left += [Part(" > ", "dim"), Part(step.label, "strong" if place == len(view.path) - 1 else "text")]
        self.query_one("#path", Line).show(left, [Part("  esc Up ", "dim")])
        totals, more = self.query_one("#totals", Line), self.query_one("#more", Line)
        if self.problem or answer is None:
            totals.show([Part(f" {self.problem}", "error") if self.problem else Part(" asking…", "dim")])
            more.show([])
            return
        totals.show(first_line(answer, self.host.clock(), self.iec))
        more.show(second_line(answer, self.host.clock()), self._compared(answer))

    def _compared(self, answer: Answer) -> list[Part]:
        """Return what is compared with what."""
        interval = answer.query.interval
        if not self.view.compare or interval is None:
            return []
        form = "%b %d %H:%M" if interval.length >= DAY else "%H:%M:%S"
        before = interval.start - interval.length
        told = next((one for one in self.told if one.earlier and one.before is not None), None)
        held = None if told is None else told.earlier[0].coverage.held
        late = held is not None and held.start > before + LATE
        since = [Part(f"held from {time_text(held.start, form)} ", "warn")] if held is not None and late else []
        return [Part("  against ", "dim"), Part(f"{time_text(before, form)}-{time_text(interval.start, form)} "), *since]

    def _show_panel(self, place: int) -> None:
        wanted, told, panel = self.dimensions[place], self.told[place], self.query_one(f"#panel-{place}", Panel)
        title = wanted.title if wanted.title.startswith("top ") or wanted.shape is Shape.CLASSES else f"by {wanted.title}"
        if (
            not told.answers
            or len(told.queries) != len(wanted.queries(self.view, self.host.clock(), 0, None))
            or (told.answers[0].query.keys != self._wanted(place)[0][0].keys)
        ):
            panel.put(title, None, (self.problem,) if self.problem else ("asking…",))
            return
        shown = Breakdown(wanted, told, self.view.measure, self.host.clock(), self.iec, self.cell)
        words = self.empty_words() if place == self._front or not self.answer or self.answer.total.flows else ("no flows",)
        panel.put(title, shown, words, self.views[place])

    # Panels

    @on(Panel.Taken)
    def _given(self, message: Panel.Taken) -> None:
        message.stop()
        self._front = self.panels.index(message.panel)

    def action_next(self, direction: int) -> None:
        """Give the keys to another panel."""
        self._to((self._front + direction) % len(FIRST))

    def _to(self, place: int) -> None:
        before, self._front = self._front, place
        if self.alone:
            self._lay_out()
            self.call_after_refresh(self.panel.focus)
            self.ask()
            return
        self.panel.focus()
        self._show_panel(before)
        self._show_panel(place)

    def action_maximise(self) -> None:
        """Show one panel alone, or all of them."""
        self.toggle_class("-alone")
        self._lay_out()
        self.ask()

    def action_view(self) -> None:
        """Draw the panel in another way."""
        views, place = self.panel.views, self._front
        if not views:
            self.say("days by hours have one view; b shows something else here")
            return
        self.views[place] = views[(views.index(self.views[place]) + 1) % len(views)] if self.views[place] in views else views[0]
        self._show_panel(place)

    def action_order(self) -> None:
        """Rank by octets, packets or flows in turn."""
        self.view = replace(self.view, order=MEASURES[(MEASURES.index(self.view.order) + 1) % len(MEASURES)])

    def action_by(self) -> None:
        """Choose what the panel breaks down by."""
        from nftui.screens.dialogs import Pick

        offered = [(name, f"{name:<14}{words}") for name, words in OFFERED.items()]
        pick = Pick("this panel: by", offered, self.dimensions[self._front].name, "or type keys: srcnet, srcip,dstport", dimension)
        self.app.push_screen(pick, self._chose_by)

    def _chose_by(self, name: str | None) -> None:
        if name is not None:
            self._by(self._front, dimension(name))

    def _by(self, place: int, wanted: Dimension) -> None:
        self._chosen.add(place)
        self.dimensions[place] = wanted
        if wanted.either and self.views[place] in PARTS:
            self.views[place] = VIEWS[0]
        self.query_one(f"#panel-{place}", Panel).go(0)
        self._show_panel(place)
        self.ask()

    def action_explore(self) -> None:
        """Show the next of listeners, talkers, TCP ports and UDP ports as a table, alone."""
        name = self.dimensions[self._front].name
        self.views[self._front] = "table"
        self.set_class(True, "-alone")
        self._lay_out()
        self._by(self._front, dimension(EXPLORER[(EXPLORER.index(name) + 1) % len(EXPLORER)] if name in EXPLORER else EXPLORER[0]))

    def exports(self) -> Sequence[Exportable]:
        """Return what can be written: the panel with the keys as it is shown, its groups, and the totals."""
        from nftui.screens.exports import of_reply, of_table

        answers, title = self.told[self._front].answers, self.dimensions[self._front].title
        found = list(of_table(self.panel, "panel"))
        if answers and self.answer is not None:
            more = {**{f"{title} {place}": one for place, one in enumerate(answers[1:], 2)}, "all flows": self.answer}
            resolver = self.host.resolver if self.view.names else None
            found += of_reply(Reply(answers[0], more), self.host.back_end, resolver, iec=self.iec)
        return found

    # Steps down and up

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()

    @on(FlowTable.Opened)
    def _opened(self, message: FlowTable.Opened) -> None:
        message.stop()
        span = self.panel.span() if self.panel.is_hours else None
        if span is not None:
            self.view = self.view.with_range(Range(interval=span))
        elif self.panel.is_hours:
            self.say("nothing is known of this hour")
        else:
            self._narrow(False)

    def action_only(self) -> None:
        """Filter to the group under the cursor."""
        self._narrow(False)

    def action_exclude(self) -> None:
        """Filter out the group under the cursor."""
        self._narrow(True)

    def _narrow(self, out: bool) -> None:
        row, shown, place = self.panel.row(), self.panel.breakdown, self._front
        if row is None or shown is None or self.panel.is_hours:
            self.say("no filter can say this", "warning")
            return
        before, depth = self.dimensions[place], len(self.view.path)
        if not self.narrow_to(shown.term(row), out):
            return
        self._steps[depth] = (place, self.panel.cursor, before)
        if before.into and not out:
            self._by(place, dimension(before.into))

    def action_up(self) -> None:
        """Undo the last step down; before that, show all panels."""
        path = self.view.path
        if not path and self.has_class("-alone"):
            self.action_maximise()
            return
        step = self._steps.pop(len(path) - 1, None) if path and path[-1].screen == self.TAB else None
        super().action_up()
        if step is not None:
            place, row, self.dimensions[step[0]] = step
            self._waits = place, row
            self._to(place)

    def _put_back(self) -> None:
        """Put the cursor back to where the step was taken, as soon as the panel shows its groups again."""
        if self._waits is None:
            return
        place, row = self._waits
        queries, before = self._wanted(place)
        if (queries, before) == (self.told[place].queries, self.told[place].before):
            self._waits = None
            self.query_one(f"#panel-{place}", Panel).go(row)

    def value_under_cursor(self) -> tuple[str, Any] | None:
        """Return the key and the value under the cursor, of a group of one key."""
        row, names = self.panel.row(), self.dimensions[self._front].keys
        if row is None or row.get("others") is not None or not names or names[0] not in row:
            return None
        return names[0], row[names[0]]
