"""Templates: what exporters announce about their records, per exporter address and observation domain.

A template set is parsed field by field in Python: it is rare, and one that says again what is known is recognised by its octets.

Source: RFC 3954, sections 5.2 and 6.1 (NetFlow v9); RFC 7011, sections 3.4 and 8 (IPFIX).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from nftui.capture.layouts import SCOPE, VARIABLE, Field, Layout, compile_layout

MAX_FIELDS = 512
MIN_RECORD = 4
"""Octets of a flow record; shorter ones would make millions of rows of a few datagrams."""
MAX_RECORD = 65535 - 4
FIRST_TEMPLATE = 256
_ENTERPRISE_BIT = 0x8000
_TWO = struct.Struct(">HH")
_THREE = struct.Struct(">HHH")
_NUMBER = struct.Struct(">I")


class TemplateError(Exception):
    """A template that can't be used; the reason is counted."""


@dataclass(frozen=True)
class Template:
    """One template.

    Attributes:
        id: 256 to 65535.
        fields: In the order of the wire.
        options: Whether it describes options records.
    """

    id: int
    fields: tuple[Field, ...]
    options: bool = False

    @property
    def variable(self) -> bool:
        """Whether a field states its length in each record."""
        return any(field.length == VARIABLE for field in self.fields)

    @property
    def layout(self) -> Layout:
        """How to read its records, when it is not variable. Layouts are cached, and shared by templates with the same fields."""
        return compile_layout(self.fields)


@dataclass(frozen=True)
class Withdrawal:
    """A template that is no more (RFC 7011, section 8.1); `id` None means all of the kind."""

    id: int | None
    options: bool


def parse_netflow9(octets: bytes, options: bool) -> Iterator[Template | TemplateError]:
    """Parse the content of a NetFlow v9 template set or options template set.

    Yields:
        Templates, and for each that can't be used the reason.
    """
    at = 0
    while at + (6 if options else 4) <= len(octets):
        if options:
            identity, scopes, others = _THREE.unpack_from(octets, at)
            at += 6
            scope_count, count = scopes // 4, scopes // 4 + others // 4
        else:
            identity, count = _TWO.unpack_from(octets, at)
            at += 4
            scope_count = 0
        if identity < FIRST_TEMPLATE:
            if any(octets[at - 4 :]):
                yield TemplateError("template id below 256")
            return
        if at + 4 * count > len(octets):
            yield TemplateError("template cut short")
            return
        pairs = [_TWO.unpack_from(octets, at + 4 * place) for place in range(count)]
        at += 4 * count
        yield _checked(identity, [Field(SCOPE if place < scope_count else 0, *pair) for place, pair in enumerate(pairs)], options)


def parse_ipfix(octets: bytes, options: bool) -> Iterator[Template | Withdrawal | TemplateError]:
    """Parse the content of an IPFIX template set or options template set.

    Yields:
        Templates, withdrawals, and for each that can't be used the reason.
    """
    at = 0
    while at + 4 <= len(octets):
        identity, count = _TWO.unpack_from(octets, at)
        at += 4
        if count == 0 and (identity >= FIRST_TEMPLATE or identity == (3 if options else 2)):
            yield Withdrawal(identity if identity >= FIRST_TEMPLATE else None, options)
            continue
        if identity < FIRST_TEMPLATE:
            if any(octets[at - 4 :]):
                yield TemplateError("template id below 256")
            return
        at += 2 if options else 0
        fields: list[Field] = []
        while len(fields) < count and at + 4 <= len(octets):
            element, length = _TWO.unpack_from(octets, at)
            at += 4
            enterprise = 0
            if element & _ENTERPRISE_BIT:
                if at + 4 > len(octets):
                    break
                (enterprise,) = _NUMBER.unpack_from(octets, at)
                element &= ~_ENTERPRISE_BIT
                at += 4
            fields.append(Field(enterprise, element, length))
        if len(fields) < count:
            yield TemplateError("template cut short")
            return
        yield _checked(identity, fields, options)


def _checked(identity: int, fields: list[Field], options: bool) -> Template | TemplateError:
    if len(fields) > MAX_FIELDS:
        return TemplateError(f"template of more than {MAX_FIELDS} fields")
    least = sum(1 if field.length == VARIABLE else field.length for field in fields)
    if least == 0:
        return TemplateError("template without octets")
    if least < MIN_RECORD and not options and all(field.length != VARIABLE for field in fields):
        return TemplateError(f"template shorter than {MIN_RECORD} octets")
    if least > MAX_RECORD:
        return TemplateError("template longer than any message")
    return Template(identity, tuple(fields), options)


def from_json(value: object) -> Template:
    """Return a template that `to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: The value is none, or can't be used.
    """
    if not isinstance(value, dict):
        raise TypeError("a template is a table")
    identity, fields = int(value["id"]), [Field(*(int(part) for part in field)) for field in value["fields"]]
    sane = all(SCOPE <= field.enterprise < 2**32 and 0 <= field.element < 2**16 and 0 <= field.length < 2**16 for field in fields)
    checked = _checked(identity, fields, bool(value["options"]))
    if not FIRST_TEMPLATE <= identity < 2**16 or not sane or isinstance(checked, TemplateError):
        raise ValueError("no usable template")
    return checked


def to_json(template: Template) -> dict[str, object]:
    """Return a template as a table of JSON."""
    return {"id": template.id, "options": template.options, "fields": list(template.fields)}
