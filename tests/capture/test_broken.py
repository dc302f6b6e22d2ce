"""Broken forms of real exports give what fits, and all else is counted by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture import broken

FORMS = [form for path in broken.files() for form in broken.forms(path)]


def ids(form: broken.Form) -> str:
    return f"{form.protocol}: {form.name}"


def test_each_protocol_has_its_forms() -> None:
    assert [path.stem for path in broken.files()] == ["ipfix", "sflow", "v1", "v5", "v7", "v9"]
    assert len({ids(form) for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_form(form: broken.Form) -> None:
    assert broken.results(form) == form.expect


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_form_datagram_by_datagram(form: broken.Form) -> None:
    assert broken.results(form, one_by_one=True) == form.expect


@pytest.mark.parametrize("path", broken.files(), ids=lambda path: path.stem)
def test_files_are_as_written(path: Path) -> None:
    """`--write` changes nothing but the values."""
    assert broken.rewritten(path) == path.read_text("utf-8")
