"""The cookbook's answers: `python -m tests.documents.cookbook` writes them again from a run of the sample."""

import re
import tempfile
from pathlib import Path

from remediation_assets.ledger.transaction import Reader
from remediation_assets.settings import CHECKOUT
from tests.documents.sample_run import sample_run

COOKBOOK = CHECKOUT / "docs" / "cookbook.md"
_QUESTION = re.compile(r"```sql\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def answered(text: str, connection: Reader) -> str:
    """Return the cookbook's text with the answer below each question."""

    def answer(question: re.Match[str]) -> str:
        cursor = connection.execute(question[1])
        names = [column[0] for column in cursor.description or ()]
        rows = [["" if value is None else str(value) for value in row] for row in cursor.fetchall()]
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in
                 (names, ["-" * width for width in widths], *rows)]  # fmt: skip
        return f"```sql\n{question[1]}```\n\n```text\n" + "\n".join(lines) + "\n```\n"

    return _QUESTION.sub(answer, text)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sample_run(Path(folder)).published() as connection:
        COOKBOOK.write_text(answered(COOKBOOK.read_text(), connection))


if __name__ == "__main__":
    main()
