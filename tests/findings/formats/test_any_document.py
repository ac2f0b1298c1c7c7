"""Whatever a JSON document holds, it is read or refused in a sentence; nothing of it is lost."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.formats import FORMATS, format_of
from remediation_assets.findings.formats.row import Note, Skipped
from tests.support.hostile_texts import HOSTILE
from tests.support.scanner_documents import DOCUMENTS
from tests.support.scanner_files import Reading, read_text

pytestmark = pytest.mark.slow

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**30),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["../../etc/passwd", "file:///C:/x", "\ud800", "\0", '"\n,', "=cmd", "CVSS:3.1/AV:N"]),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just([{}]),
    st.just([None, {"id": 1}]),
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value in a document."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(one for key, value in inside for one in places(value, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = document.copy()
    copy[path[0]] = changed(document[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_document_is_read_or_refused(name: str, data: st.DataObject) -> None:
    document = DOCUMENTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        document = changed(document, data.draw(st.sampled_from(places(document)[1:])), data.draw(ODD))
    try:
        reading = read_text(json.dumps(document))
    except FindingsFileError as error:
        message = str(error)
    else:
        message = ""
        _nothing_is_lost(document, reading)
    assert not message or message.endswith(".")
    assert "\n" not in message


def _nothing_is_lost(document: Any, reading: Reading) -> None:
    recognized = format_of(document)
    items = list(recognized.read(document)) if recognized else []
    rows = [item for item in items if not isinstance(item, Skipped | Note)]
    assert reading.scan.rows_in == len(rows)
    assert sum(reading.scan.skipped.values()) == sum(item.count for item in items if isinstance(item, Skipped))


def test_each_document_is_recognized_by_one_format_and_each_format_has_one() -> None:
    found = {name: [one.name for one in FORMATS if one.recognizes(document)] for name, document in DOCUMENTS.items()}
    assert all(len(names) == 1 for names in found.values()), found
    assert {names[0] for names in found.values()} == {one.name for one in FORMATS}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_pass_as_texts(hostile: str) -> None:
    document = DOCUMENTS["SARIF"]
    result = ("runs", 0, "results", 0)
    document = changed(document, (*result, "message"), {"text": hostile})
    document = changed(document, (*result, "ruleId"), hostile)
    reading = read_text(json.dumps(document))
    assert (reading.scan.rows_in, reading.scan.skipped) == (2, {"suppressed": 1})
