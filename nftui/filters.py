"""The command `filters`: what is saved, one filter, saving and deleting."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from nftui.engine.basic_filter import FIELD_NAMES, BasicFilter, label
from nftui.engine.saved_filter import SavedFilter, SavedFilters
from nftui.errors import FilterError, UsageError
from nftui.printable import printable

OPTIONS = {field: "--" + field.replace("_", "-") for field in FIELD_NAMES}
"""Field of a basic filter -> option of `filters save`."""
COLUMNS = ("name", "kind", "aggregate_by", "expression", "description")


def show_list(directory: Path, output: str) -> int:
    """List the saved filters, and the files that can't be used with the reason."""
    listed = list(SavedFilters(directory).listed())
    good = [_row(one.name, one.path, one.saved) for one in listed if one.saved is not None]
    bad = [one for one in listed if one.saved is None]
    if output == "json":
        print(json.dumps({"rows": good, "unread": [{"path": str(one.path), "reason": one.reason} for one in bad]}))
        return 0
    if not listed:
        print(f"no saved filters in {printable(directory)}; `nftui filters save NAME FILTER` makes one", file=sys.stderr)
    if good:
        cells = [[printable(row[key], 60) for key in COLUMNS] for row in good]
        widths = [max(map(len, column)) for column in zip(COLUMNS, *cells, strict=True)]
        for line in (COLUMNS, *cells):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for one in bad:
        print(f"nftui: {printable(one.name)}: not usable: {printable(one.reason, 500)}", file=sys.stderr)
    return 0


def show(directory: Path, name: str, output: str) -> int:
    """Print one filter."""
    filters = SavedFilters(directory)
    saved = filters.load(name)
    filters.tree(name, saved)
    row = _row(name, filters.path(name), saved)
    if output == "json":
        print(json.dumps(row))
        return 0
    lines = {**row, **{label(field): text for field, text in row.pop("fields", {}).items()}}
    for key, text in lines.items():
        if key != "fields" and text:
            print(f"{key.replace('_', ' ') + ':':<21}{printable(text, 2000)}")
    return 0


def save(directory: Path, options: argparse.Namespace) -> int:
    """Save a filter; of one that there is, what is not given stays."""
    filters = SavedFilters(directory)
    path = filters.path(options.name)
    given = {field: getattr(options, field) for field in FIELD_NAMES if getattr(options, field) is not None}
    if given and options.filter:
        option = OPTIONS[next(iter(given))]
        raise UsageError(f"{option}: a filter has fields or an expression; leave FILTER or the fields out")
    there = path.exists()
    saved = filters.load(options.name) if there else SavedFilter()
    if given:
        before = {field: getattr(saved.fields, field) for field in FIELD_NAMES}
        saved = saved.with_fields(BasicFilter(**{**before, **given}))
    elif options.filter:
        saved = saved.with_expression(" ".join(options.filter))
    if options.aggregate_by is not None:
        from nftui.engine.query import KEYS  # loads polars

        if options.aggregate_by not in KEYS:
            raise UsageError(f"--aggregate-by {printable(options.aggregate_by, 40)!r}: it takes one of {', '.join(KEYS)}")
        saved = msgspec.structs.replace(saved, aggregate_by=options.aggregate_by)
    if options.description is not None:
        saved = msgspec.structs.replace(saved, description=options.description)
    try:
        filters.save(options.name, saved)
    except FilterError as error:
        options_of = {label(field): option for field, option in OPTIONS.items()}
        source = options_of.get(error.source, error.source)
        raise FilterError(error.text, error.column, error.token, error.problem, error.hint, source=source) from None
    print(f"{'changed' if there else 'saved'} {printable(path)}")
    return 0


def delete(directory: Path, names: list[str]) -> int:
    """Delete filters; none of them where one is not there."""
    filters, names = SavedFilters(directory), list(dict.fromkeys(names))
    missing = [name for name in names if not filters.path(name).exists()]
    for name in missing or names:
        filters.delete(name)
    for name in names:
        print(f"deleted {printable(name)}")
    return 0


def _row(name: str, path: Path, saved: SavedFilter) -> dict[str, Any]:
    fields = {field: getattr(saved.fields, field) for field in FIELD_NAMES} if saved.kind == "basic" else {}
    return {
        "name": name,
        "kind": saved.kind,
        "expression": saved.text,
        **({"fields": fields} if fields else {}),
        "aggregate_by": saved.aggregate_by,
        "description": saved.description,
        "path": str(path),
    }
