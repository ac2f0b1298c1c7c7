"""Propose a mapping for a CSV file with other columns, as a TOML file that people can correct.

How a mapping is used is in the format module `mapped_csv`.
"""

import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table as TomlTable

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.formats import mapped_csv
from remediation_assets.findings.formats.row import Unreadable

from .csv_header import Table, clean_name, sniff
from .decode import decode

_SAMPLE_ROWS = 200

_SECTIONS = {
    "columns": 'field = "column"',
    "constants": 'field = "the same for every row"',
    "only": 'Column = ["value"]: only rows with one of these values are open findings',
}


def proposed_mapping(source: Path) -> str:
    """Return the TOML text of a mapping that fits the file's header; raise FindingsFileError if it is not CSV."""
    with tempfile.TemporaryDirectory() as folder:
        text = decode(source, Path(folder))
        table = sniff(text)
        if table is None:
            raise FindingsFileError(f"{source} is JSON, which needs no mapping; a mapping is for CSV.")
        try:
            with text.open() as file:
                records = mapped_csv.records(file, table.header, table.delimiter)
                sample = [record.values for record in islice(records, _SAMPLE_ROWS) if not record.malformed]
        except Unreadable as error:
            raise FindingsFileError(f"{source} {error}.") from None
    return _as_toml(source, table, sample)


def _as_toml(source: Path, table: Table, sample: list[dict[str, str]]) -> str:
    names = {name: clean_name(name) for name in table.header}
    proposal = mapped_csv.propose(table.header, sample, names, scanner=source.name.partition(".")[0])
    document = tomlkit.document()
    for line in (
        f"How the columns of {source.name} fill the fields of a finding.",
        f"Fields: {', '.join(mapped_csv.FIELDS)}.",
        f"Columns: {', '.join(table.header)}.",
    ):
        # A header may hold line breaks, and a comment ends at the first.
        document.add(tomlkit.comment(" ".join(line.split())))
    for name, comment in _SECTIONS.items():
        section = tomlkit.table()
        section.add(tomlkit.comment(comment))
        for key, value in proposal[name].items():
            section.add(key, value)
        if name == "constants":
            _add_missing_fields(section, proposal)
        document.add(name, section)
    return tomlkit.dumps(document)


def _add_missing_fields(section: TomlTable, proposal: Mapping[str, Any]) -> None:
    """Add a comment for each field that a mapping needs and no column fills."""
    filled = {*proposal["columns"], *proposal["constants"]}
    for field in ("title", "file_path", "severity"):
        if field not in filled and not (field == "severity" and "cvss_score" in filled):
            section.add(tomlkit.comment(f'{field} = ""  # needed: no column of that name was found'))
