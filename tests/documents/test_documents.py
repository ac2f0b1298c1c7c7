"""The documents say what is so: answers, settings, links, commands, arithmetic."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import pytest

from remediation_assets.cli import main
from remediation_assets.settings import CHECKOUT
from tests.documents import cookbook, links, settings_table
from tests.documents.sample_run import sample_run


def test_the_cookbooks_answers_are_those_of_the_sample(tmp_path: Path) -> None:
    text = cookbook.COOKBOOK.read_text()
    with sample_run(tmp_path).published() as connection:
        assert text == cookbook.answered(text, connection), "run `python -m tests.documents.cookbook`"
    assert text.count("```sql") == text.count("```text") >= 10


def test_the_table_of_settings_is_current() -> None:
    text = settings_table.README.read_text()
    assert text == settings_table.with_table(text), "run `make settings`"


def test_no_link_is_dead() -> None:
    assert list(links.dead_links()) == []


def commands() -> Iterator[tuple[str, str]]:
    """Return every command of ours that a document shows, in a block or in a line, with the document's name."""
    for document in links.documents():
        text = document.read_text()
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
        shown = [line.partition(" #")[0] for line in blocks.splitlines()]
        shown += [" ".join(one.split()) for one in re.findall(r"`((?:remediate|make) [^`]+)`", text)]
        for command in shown:
            if re.match(r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:remediate|make) ", command.strip()):
                yield document.name, command.strip().removesuffix("&").strip()


@pytest.mark.parametrize(("document", "command"), sorted(set(commands())))
def test_every_command_of_the_documents_exists_with_its_options(document: str, command: str) -> None:
    words = [word for word in shlex.split(command.replace("[", "").replace("]", "")) if not re.match(r"[A-Z_]+=", word)]
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE)
        assert arguments[0] in targets, document
        return
    known = main.get_command(click.Context(main), arguments[0])
    assert known is not None, document
    known.make_parser(click.Context(known)).parse_args(arguments[1:])


def test_the_commands_are_found() -> None:
    found = {command for _, command in commands()}
    assert {"make run", "make test", "remediate doctor"} <= found
    assert len(found) > 30


def test_the_clients_case_adds_up() -> None:
    text = (CHECKOUT / "docs" / "client_scenario.md").read_text().replace("\n", " ")
    text = re.sub(r"\*\*|,(?=\d{3})", "", text)
    sums = re.findall(
        r"((?:[\d.]+ ?(?:h|USD|hours|ACUs)?[ :]*[\u00d7\u00f7\u2212+] ?)+[\d.]+ ?(?:h|USD|hours|ACUs)?) = ([\d.]+)",
        text,
    )
    assert len(sums) >= 12
    for left, right in sums:
        terms = re.sub(r"[a-zA-Z ]", "", left).replace("\u00d7", "*").replace("\u00f7", "/").replace("\u2212", "-")
        assert re.fullmatch(r"[\d.*/+-]+", terms)
        [(result,)] = duckdb.sql(f"SELECT CAST({terms} AS DOUBLE)").fetchall()
        assert float(right) == pytest.approx(result, abs=0.006), left
    merged = 0.178
    assert 1760 * merged * 270 == pytest.approx(
        20592 + 90 * (1760 * merged * 0.5 + 1760 * (1 - merged) * 0.3 + 120), rel=0.01
    )
