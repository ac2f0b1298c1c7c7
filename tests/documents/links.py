"""Dead links in the documents: `python -m tests.documents.links` names them and fails where there is one."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from remediation_assets.settings import CHECKOUT

_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)>\s]+)>?\)")


def documents() -> list[Path]:
    """Return the documents for people; playbooks are for agents and have no links into the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    found = [CHECKOUT / name for name in listed.splitlines()]
    return [path for path in found if path.exists() and not path.name.endswith(".devin.md")]


def dead_links() -> Iterator[str]:
    for document in documents():
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
        for target in _LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue  # elsewhere, which is not looked at
            path, _, anchor = target.partition("#")
            there = (document.parent / path).resolve() if path else document
            if not there.exists():
                yield f"{document.relative_to(CHECKOUT)}: {target} does not exist"
            elif anchor and anchor not in _anchors(there):
                yield f"{document.relative_to(CHECKOUT)}: {target} has no such heading"


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def main() -> None:
    dead = list(dead_links())
    print("\n".join(dead) or f"{len(documents())} documents without a dead link.")
    sys.exit(bool(dead))


if __name__ == "__main__":
    main()
