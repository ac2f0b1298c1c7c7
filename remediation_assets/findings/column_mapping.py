"""A proposed mapping of a CSV file's columns, written as a TOML file that people can correct."""

import tempfile
from itertools import islice
from pathlib import Path

import tomlkit

from .errors import FindingsFileError
from .header import clean_name, read_any_table
from .plain_text import plain_utf_8
from .readers import mapped_csv
from .readers.row import Unreadable

_SAMPLE = 200


def proposed_mapping(source: Path) -> str:
    """Give the TOML text of a mapping that fits the file's header; raises FindingsFileError for what is no CSV."""
    with tempfile.TemporaryDirectory() as name:
        plain = plain_utf_8(source, Path(name))
        table, plain, _ = read_any_table(source, plain, Path(name))
        try:
            records = mapped_csv.records(plain, table.header, table.delimiter)
            sample = [record.values for record in islice(records, _SAMPLE) if not record.why_not]
        except Unreadable as error:
            raise FindingsFileError(f"{source} {error}.") from None
    names = {name: clean_name(name) for name in table.header}
    proposed = mapped_csv.proposed(table.header, sample, names, scanner=source.name.partition(".")[0])
    document = tomlkit.document()
    for line in (
        f"How the columns of {source.name} fill the fields of a finding.",
        f"Fields: {', '.join(mapped_csv.FIELDS)}.",
        f"Columns: {', '.join(table.header)}.",
    ):
        document.add(tomlkit.comment(" ".join(line.split())))
    known = {*proposed["columns"], *proposed["constants"]}
    words = {
        "columns": 'field = "column"',
        "constants": 'field = "the same for every row"',
        "only": 'Column = ["value"]: only rows with one of these values are open findings',
    }
    for name, comment in words.items():
        section = tomlkit.table()
        section.add(tomlkit.comment(comment))
        for key, value in proposed[name].items():
            section.add(key, value)
        if name == "constants":
            for field in ("title", "file_path", "severity"):
                if field not in known and not (field == "severity" and "cvss_score" in known):
                    section.add(tomlkit.comment(f'{field} = ""  # needed: no column of that name was found'))
        document.add(name, section)
    return tomlkit.dumps(document)
