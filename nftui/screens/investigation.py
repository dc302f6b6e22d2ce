"""What every screen of an investigation has: the keys of the shared view, its line, and the way to ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message

from nftui.engine import filters, resolutions, session
from nftui.engine.query import Answer, Measure
from nftui.errors import FilterError
from nftui.printable import printable
from nftui.screens import cells, emptiness, errands, presets, reading, registries, terms
from nftui.screens.asker import Answered, Asker, Growing
from nftui.screens.collector import understand
from nftui.screens.filtered import FilteredScreen
from nftui.screens.questions import Question, Reply
from nftui.screens.shell import LOOK_S
from nftui.screens.view import Range, keys_of, time_text
from nftui.screens.widgets.legend import Legend
from nftui.screens.widgets.painted import Line, Part

if TYPE_CHECKING:
    from nftui.export.exportables import Exportable

FIRST_LOOK = 0.2
"""Seconds between two looks at a store that has no flows in the range yet."""
BUSY_AFTER = 0.4
"""Seconds of asking that pass without a word, so that quick answers don't flicker."""
MEASURES = (Measure.OCTETS, Measure.PACKETS, Measure.FLOWS)


@dataclass
class Own(Message):
    """The SSH session that this is seen through was looked for."""

    session: session.Session | None
    problem: str = ""


class InvestigationScreen(FilteredScreen):
    """A screen on the shared view. A subclass says what it asks, and shows the answer."""

    RANKED: ClassVar[bool] = False
    """Whether its table is the ranked list, which a click on a measure orders."""
    ELSEWHERE: ClassVar[dict[str, str]] = {}
    """Where what a key changes is seen, by the key's action, for those that change nothing on this screen."""
    LIMITS: ClassVar[tuple[int, ...]] = (2, 5, 10, 15, 20, 25, 50)
    """Numbers of groups that are offered."""
    LIMITED: ClassVar[tuple[str, str]] = ("groups shown", "{} groups")
    """What is chosen with them, and the words for each."""
    SIGNS: ClassVar[tuple[str, ...]] = (
        "the sign before LIVE",
        "  = exact  ~ newest bins settle  ≈ estimated  ! losses  % read in part so far",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "range", "Time", id="view.range", tooltip="Choose the time range"),
        Binding("b", "by", "By", id="view.by", tooltip="Choose what to break down by"),
        Binding("M", "limit", "Groups", show=False, id="view.limit", tooltip="Choose how many groups are shown"),
        Binding("u", "measure", "Unit", id="view.measure", tooltip="Chart octets, packets or flows in turn"),
        Binding("R", "resolution", "Resolution", show=False, id="view.resolution", tooltip="How many samples a series has"),
        Binding("O", "others", "Others", show=False, id="view.others", tooltip="Show or hide what the groups leave"),
        Binding("c", "compare", "Compare", show=False, id="view.compare", tooltip="Beside it, the period before"),
        Binding("S", "reverse", "Reverse", show=False, id="view.reverse", tooltip="Turn the order around"),
        Binding("space", "pause", "Pause", key_display="␣", id="view.pause", tooltip="Freeze the range, or follow the clock again"),
        Binding("left_square_bracket,comma", "pan(-1)", "Earlier", show=False, id="view.earlier", tooltip="Half a range back"),
        Binding("right_square_bracket,full_stop", "pan(1)", "Later", show=False, id="view.later", tooltip="Half a range on"),
        Binding("plus,equals_sign", "zoom(1)", "Zoom in", show=False, id="view.zoom_in", tooltip="A shorter range"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False, id="view.zoom_out", tooltip="A longer range"),
        Binding("0", "live", "Live", show=False, id="view.live", tooltip="Back to the range that ends now"),
        Binding("r", "refresh_now", "Refresh", show=False, id="view.refresh", tooltip="Ask again now"),
        Binding("o", "exclude", "Not this", show=False, id="view.exclude", tooltip="Filter out the value under the cursor"),
        Binding("i", "only", "Only this", show=False, id="view.only", tooltip="Filter to the value under the cursor"),
        Binding("a", "names", "Names", show=False, id="view.names", tooltip="Addresses, or what they are called"),
        Binding("W", "whois", "Whois", show=False, id="view.whois", tooltip="Who the address is registered to"),
        Binding("X", "own_session", "Own session", show=False, id="view.own", tooltip="Hide or show your own SSH session"),
        Binding("backslash", "side", "Side panel", show=False, id="view.side", tooltip="Show or hide the side panel"),
        Binding("C", "coverage", "Coverage", show=False, id="view.coverage", tooltip="What the answer stands on, in words"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.asked: Question | None = None
        self.reply: Reply | None = None
        self._row: int | None = None
        self._asker: Asker | None = None
        self._named = 0

    @property
    def answer(self) -> Answer | None:
        """The answer that is shown; None before the first."""
        return None if self.reply is None else self.reply.main

    def question(self) -> Question:
        """Return what this screen asks of the shared view now."""
        raise NotImplementedError

    def show_answer(self) -> None:
        """Show the answer, or what stands in its place."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Start to ask."""
        self._asker = Asker(self.host.back_end, self)
        self.watch(self.app, "view", self._view_changed, init=False)
        self.set_interval(LOOK_S, self._tick)
        self.set_interval(FIRST_LOOK, self._look_for_the_first)
        self.set_interval(0.5, self.show_edges)
        self.set_interval(0.5, self._show_names)
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self.show_answer)

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Ask as soon as the screen is seen."""
        self.ask()

    def on_screen_suspend(self, _: events.ScreenSuspend) -> None:
        """Ask no more: another screen's question has its turn."""
        if self._asker is not None:
            self._asker.give_up()

    def ask(self) -> None:
        """Ask for what the shared view shows now."""
        if self._asker is not None:
            self.asked = self.question()
            self._asker.ask(self.asked)
            self.show_edges()

    def _tick(self) -> None:
        if self._asker is None or not self.is_current or self._asker.busy or not self.due():
            return
        if self.view.follows or self.problem:
            self.ask()
        else:
            self._asker.ask(None)

    def _look_for_the_first(self) -> None:
        """Ask more often while there is nothing yet: an empty store costs nothing to look at, and the first flows are awaited."""
        empty = self.answer is not None and not self.answer.total.flows and self.view.follows
        if empty and self.is_current and self._asker is not None and not self._asker.busy:
            self.ask()

    def _view_changed(self) -> None:
        if self.is_current:
            self.ask()

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        message.stop()
        assert self._asker is not None
        self.collector = understand(message.status, self.host.clock())
        self.heard = True
        current = message.question == self.asked and self.is_current
        if current and message.question is not None:
            self.problem = message.problem
            self.reply = message.reply or self.reply
        elif message.question is None and message.problem:
            self.problem = message.problem
        self._asker.done()
        if current:
            self.show_answer()
        self.show_edges()

    @on(Growing)
    def _growing(self, message: Growing) -> None:
        message.stop()
        if message.question == self.asked and self.is_current:
            self.problem, self.reply = "", message.reply
            self.show_answer()
            self.show_edges()

    def show_edges(self) -> None:
        """Show the lines at the edges: tabs and state, filter and range, keys."""
        super().show_edges()
        if self.is_current and self.is_attached:
            self.query_one("#filter", Line).show(*self._filter_line())

    def state(self) -> list[Part]:
        """Return how current the answer is, and how far it can be trusted."""
        view = self.view
        parts: list[Part] = []
        if self._asker is not None and self._asker.elapsed > BUSY_AFTER:
            share = self._asker.share
            words = f"scanned {share * 100:.0f} %" if share else f"asking… {self._asker.elapsed:.0f}s"
            parts.append(Part(f"{words}  ", "accent"))
        if self.heard and self.collector.label:
            parts.append(Part(f"{self.collector.label}  ", "warn"))
        parts += self.signs()
        # A share that is told needs no sign.
        if self.answer is not None and not (parts and self.answer.coverage.partial is not None):
            glyph, style = reading.glyph(self.answer.coverage)
            parts.append(Part(f"{glyph} ", style))
        if self.small:
            parts.insert(0, Part("80x24 shows more  ", "warn"))
        if view.follows:
            parts += self.live_state()
        elif view.paused_at is not None:
            parts.append(Part(f"PAUSED {time_text(view.paused_at)} ", "warn"))
        else:
            parts.append(Part("PAST ", "accent"))
        return parts

    def _show_names(self) -> None:
        """Show what was found of addresses since: names come when they come."""
        if self.view.names and self.is_current and self._named != self.host.resolver.revision:
            self._named = self.host.resolver.revision
            self.show_answer()

    def cell(self, name: str, value: Any) -> str:
        """Return a value for a table; an address by its name, where names are shown and its is known.

        Behind a name that all of a network has stands the address: rows would look the same otherwise.
        """
        shown = cells.cell(name, value, self.iec)
        if not self.view.names or name not in cells.ADDRESSES or value is None:
            return shown
        found = self.host.resolver.look([shown]).get(shown)
        if found is None:
            return shown
        return printable(f"{found} {shown}" if self.host.resolver.hosts.shared(shown) else found)

    def _filter_line(self) -> tuple[list[Part], list[Part]]:
        view = self.view
        left = self.filter_parts()
        if view.without != filters.ANY:
            left.append(Part("  own session hidden", "warn"))
        right = [Part("  "), Part(view.range.label(self.host.clock()), "strong"), Part("  by ", "dim"), Part(view.by)]
        return left, [*right, Part("  unit ", "dim"), Part(f"{view.measure.value} ")]

    # The range

    def action_range(self) -> None:
        """Choose the time range."""
        from nftui.screens.dialogs import Pick

        def read(text: str) -> Range:
            return presets.read_range(text, self.host.clock())

        typed = "or type -2h, -3d, 2026-11-23T10:00/2026-11-23T11:00"
        self.app.push_screen(Pick("time range", presets.ranges(), self.view.range.text, typed, read), self._ranged)

    def _ranged(self, text: str | None) -> None:
        if text is not None:
            self.view = self.view.with_range(presets.read_range(text, self.host.clock()))

    def action_pause(self) -> None:
        """Freeze the range, or follow the clock again."""
        self.view = self.view.pause(self.host.clock())

    def action_pan(self, direction: int) -> None:
        """Move the range by half its length."""
        self.view = self.view.pan(self.host.clock(), direction)

    def action_zoom(self, direction: int) -> None:
        """Shorten or lengthen the range."""
        self.view = self.view.zoom(self.host.clock(), direction)

    def action_live(self) -> None:
        """Back to the range that ends now."""
        self.view = self.view.live()

    def action_refresh_now(self) -> None:
        """Ask again now, and paint all of it."""
        self.paint_again()
        self.ask()

    # The breakdown and the order

    def action_by(self) -> None:
        """Choose what to break down by."""
        from nftui.screens.dialogs import Pick

        typed = "or type several, as srcip,dstport or srcip4/24"
        self.app.push_screen(Pick("break down by", presets.breakdowns(), self.view.by, typed, keys_of), self._chose_by)

    def _chose_by(self, name: str | None) -> None:
        if name is not None:
            self.view = replace(self.view, by=name.replace(" ", ""))
            self._elsewhere("by")

    def action_limit(self) -> None:
        """Choose how many groups are shown."""
        from nftui.screens.dialogs import Pick

        title, words = self.LIMITED
        choices = [(str(number), words.format(number)) for number in self.LIMITS]
        pick = Pick(title, choices, str(self.view.limit), "or type a number, 1 to 250", presets.read_limit)
        self.app.push_screen(pick, self._limited)

    def _limited(self, text: str | None) -> None:
        if text is not None:
            self.view = replace(self.view, limit=presets.read_limit(text))
            self._elsewhere("limit")

    def action_resolution(self) -> None:
        """Choose how many samples a series has."""
        from nftui.screens.dialogs import Pick

        labels = [("", "auto      as many as there is room for")]
        labels += [(name, f"{name:<10}{count} samples") for name, count in resolutions.SAMPLES.items()]
        labels += [(name, f"{name:<10}one each {name.replace('daily', 'day').removesuffix('ly')}") for name in resolutions.CALENDAR]
        pick = Pick("resolution", labels, self.view.resolution, "or type a number of samples", resolutions.check)
        self.app.push_screen(pick, self._resolved)

    def _resolved(self, text: str | None) -> None:
        if text is not None:
            self.view = replace(self.view, resolution=text)
            self._elsewhere("resolution")

    def action_others(self) -> None:
        """Show or hide what the shown groups leave."""
        self.view = replace(self.view, others=not self.view.others)
        self.show_answer()
        self._elsewhere("others", "on" if self.view.others else "off")

    def action_compare(self) -> None:
        """Tell the period before beside it, or no longer."""
        self.view = replace(self.view, compare=not self.view.compare)
        self._elsewhere("compare", "on" if self.view.compare else "off")

    def action_measure(self) -> None:
        """Chart octets, packets or flows in turn; the order follows."""
        measure = MEASURES[(MEASURES.index(self.view.measure) + 1) % len(MEASURES)]
        self.view = replace(self.view, measure=measure, order=measure)
        self._elsewhere("measure", measure.value)

    def _elsewhere(self, action: str, now: str = "") -> None:
        """Say where it is seen what a key changed, where that isn't here."""
        if action in self.ELSEWHERE:
            self.say(f"{self.ELSEWHERE[action]}: {now}" if now else self.ELSEWHERE[action])

    def action_reverse(self) -> None:
        """Turn the order around."""
        self.view = replace(self.view, ascending=not self.view.ascending)
        self._elsewhere("reverse", "smallest first" if self.view.ascending else "greatest first")

    # Steps down and up

    def value_under_cursor(self) -> tuple[str, Any] | None:
        """Return the column and the value that `only` and `not` take."""
        row, column = self.table.row(), self.table.column()
        if row is None or column is None or column.name not in row:
            return None
        return column.name, row[column.name]

    def action_only(self) -> None:
        """Filter to the value under the cursor."""
        self.narrow(self.value_under_cursor())

    def action_exclude(self) -> None:
        """Filter out the value under the cursor."""
        self.narrow(self.value_under_cursor(), "not ")

    def narrow(self, value: tuple[str, Any] | None, negation: str = "") -> bool:
        """Add a value to the filter, as a step that Esc undoes; tell whether it could be said."""
        return self.narrow_to(None if value is None else terms.term(*value), bool(negation))

    def narrow_to(self, words: str | None, out: bool = False, by: str = "") -> bool:
        """Add a term to the filter, or (`out`) its contrary, as a step that Esc undoes; tell whether it could be said.

        With `by` the breakdown changes with it.
        """
        if words is None:
            self.say("no filter can say this value", "warning")
            return False
        added = terms.negated(words) if out else words
        text = cells.also(self.view.text, added)
        try:
            where = self.narrowed(added)
        except FilterError as error:
            self.say(str(error), "error")
            return False
        self.view = replace(self.view.down(added, text, where, self.TAB, self.table.cursor), by=by or self.view.by)
        return True

    def action_up(self) -> None:
        """Undo the last step down."""
        if not self.view.path:
            if self.TAB != "live":
                self.app.switch_mode("live")
            return
        step = self.view.path[-1]
        self._row = step.row if step.screen == self.TAB else None
        self.view = self.view.up()
        if step.screen != self.TAB:
            self.app.switch_mode(step.screen)

    def put_back(self) -> None:
        """Put the cursor back to where the step was taken that `up` undid."""
        if self._row is not None and self.answer is not None and self.asked is not None and self.answer.query == self.asked.main:
            row, self._row = self._row, None
            self.table.go(row)

    # The mouse

    def order_by(self, name: str) -> None:
        """Order by the column whose heading was clicked: a ranked list by its measure."""
        if not self.RANKED:
            super().order_by(name)
        elif (measure := next((one for one in MEASURES if one.value == name), None)) is not None:
            self.view = replace(self.view, order=measure)

    @on(Legend.Picked)
    def _picked_group(self, message: Legend.Picked) -> None:
        message.stop()
        if message.place < self.table.count:
            self.table.go(message.place)

    # What there is to write, and to read

    def exports(self) -> Sequence[Exportable]:
        """Return all that the answer holds; a table where there is none."""
        if self.reply is None:
            return super().exports()
        from nftui.screens import exports

        resolver = self.host.resolver if self.view.names else None
        return list(exports.of_reply(self.reply, self.host.back_end, resolver, iec=self.iec))

    def action_names(self) -> None:
        """Show addresses, or what they are called."""
        self.view = replace(self.view, names=not self.view.names)
        self.show_answer()
        if self.view.names and not self.host.resolver.asks:
            self.say("names of your hosts file alone: names.resolve = true in the configuration has DNS asked")

    def address_under_cursor(self) -> str | None:
        """Return the address under the cursor; of a row in which it is on none, the first address."""
        row, here = self.table.row() or {}, self.value_under_cursor()
        values = [here] if here is not None and isinstance(here[1], bytes) and len(here[1]) == 16 else list(row.items())
        found = (cells.address(value) for _, value in values if isinstance(value, bytes) and len(value) == 16)
        return next(found, None)

    def action_whois(self) -> None:
        """Ask who the address under the cursor is registered to."""
        address = self.address_under_cursor()
        if address is None:
            self.say("no address in this row", "warning")
            return
        self.say(f"asking whois {address}")
        registries.ask(self, address)

    @on(registries.Registered)
    def _registered(self, message: registries.Registered) -> None:
        message.stop()
        if self.is_current:
            self.app.push_screen(registries.page(message))

    def action_own_session(self) -> None:
        """Leave the SSH session that this is seen through out of the picture, or no longer."""
        if self.view.without != filters.ANY:
            self.view = replace(self.view, without=filters.ANY)
        else:
            errands.send("session", self, lambda: Own(session.own()), lambda words: Own(None, words))

    @on(Own)
    def _leave_out(self, message: Own) -> None:
        message.stop()
        if message.session is None:
            self.say(message.problem or "no SSH session of yours is known here: SSH_CONNECTION isn't set")
        else:
            self.view = replace(self.view, without=filters.parse(message.session.filter))

    def action_side(self) -> None:
        """Show or hide the side panel."""
        self.toggle_class("-no-side")

    def action_coverage(self) -> None:
        """Say what the answer stands on."""
        from nftui.screens.dialogs import Page

        words = reading.coverage(self.answer, self.collector, self.ink_colours(), self.host.sides)
        self.app.push_screen(Page("what this answer stands on", words))

    def empty_words(self) -> tuple[str, ...]:
        """Return what to say in the place of rows: why there are none, and what to do."""
        if self.problem:
            return (self.problem, "asking again each second; r asks now, q leaves")
        if self.answer is None:
            return ("asking…",)
        return emptiness.words(self.view, self.collector, self.host.listening, self.host.clock())
