"""The language of the code: words that have a better one, and beginnings that no docstring has.

A docstring has none of either. The comments and other texts of a file may have as many old words as
`language_baseline.json` says, which only falls: `python -m tests.language` lowers it to what is there, and names the
faults in docstrings. `docs/glossary.md` has the words to use.
"""

import ast
import json
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from remediation_assets.settings import CHECKOUT

BASELINE = Path(__file__).with_name("language_baseline.json")

FOLDERS = ("remediation_assets", "tests")

# What the function returns, whether it holds, what it does: "Return ...", "Whether ...", "Raise ... if ...".
BEGINNINGS = re.compile(r"(?:Give|Tell|Say|Let|Part|Ask)\b")

# Few and clear: a word is here only if every use of it in a docstring is a fault.
WORDS = re.compile(
    r"""\b(?:
    anew | for[ ]ever | in[ ]vain | meanwhile | mend(?:s|ed|ing)? | of[ ]late | sought | wanted[ ]no[ ]more |
    bears?[ ]a[ ]hold | (?:is|are|was|were)[ ]told | tells | where[ ]there[ ](?:is|are)[ ]none |
    carriers? | fences? | left[ ]out | sets?[ ]aside | sightings?
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Texts:
    """What is written in a module in English, each text with its first line's number and in one line."""

    docstrings: list[tuple[int, str]]
    others: list[tuple[int, str]]
    """Comments, and string literals that are no docstring."""


def texts_of(source: str) -> Texts:
    """Return the texts of a module; a string that is a statement of its own counts as a docstring."""
    tree = ast.parse(source)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = Texts([], list(_comments(source)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            kind = texts.docstrings if id(node) in statements else texts.others
            kind.append((node.lineno, " ".join(node.value.split())))
    return texts


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of a module; those on consecutive lines are one text, because a phrase may span them."""
    begin, last, words = 0, -1, ""
    for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("#").strip()
        if line == last + 1:
            words = f"{words} {text}"
        else:
            if words:
                yield begin, words
            begin, words = line, text
        last = line
    if words:
        yield begin, words


def docstring_faults(source: str) -> list[str]:
    """Return a line for each fault in a module's docstrings."""
    faults = []
    for line, text in sorted(texts_of(source).docstrings):
        if beginning := BEGINNINGS.match(text):
            faults.append(f"{line}: begins with {beginning[0]!r}")
        faults += [f"{line}: {word!r}" for word in WORDS.findall(text)]
    return faults


def count_elsewhere(source: str) -> int:
    """Count the old words in a module's comments and other texts."""
    return sum(len(WORDS.findall(text)) for _, text in texts_of(source).others)


def modules(root: Path = CHECKOUT) -> dict[str, str]:
    """Return the sources of all modules that are checked, by their path: all but those that name the words."""
    checkers = (root / "tests" / "language.py", root / "tests" / "test_language.py")
    paths = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py") if path not in checkers)
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def baseline() -> dict[str, int]:
    """Return how many old words each file may have in comments and other texts."""
    return dict(json.loads(BASELINE.read_text(encoding="utf-8")))


def counts_of(sources: Mapping[str, str]) -> dict[str, int]:
    """Return how many old words each file has in comments and other texts, without the files that have none."""
    counts = {name: count_elsewhere(source) for name, source in sources.items()}
    return {name: count for name, count in counts.items() if count}


def differences(counts: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """Return what to do about each file that has more old words than it may, or fewer."""
    messages = []
    for name in sorted({*counts, *allowed}):
        count, most = counts.get(name, 0), allowed.get(name, 0)
        if count > most:
            messages.append(
                f"{name}: {count} old words in comments and texts, {most} allowed; docs/glossary.md has better"
            )
        elif count < most:
            messages.append(f"{name}: {count} old words, {most} allowed; lower it with `python -m tests.language`")
    return messages


def lowered(counts: Mapping[str, int], allowed: Mapping[str, int]) -> dict[str, int]:
    """Return the baseline with the smaller numbers; it is raised by hand only, as when a file gets another name."""
    least = {name: min(count, allowed.get(name, 0)) for name, count in counts.items()}
    return {name: count for name, count in sorted(least.items()) if count}


def main() -> None:
    """Lower the baseline and print what is wrong all the same; exit with 1 if anything is."""
    sources = modules()
    counts = counts_of(sources)
    allowed = lowered(counts, baseline())
    BASELINE.write_text(json.dumps(allowed, indent=4) + "\n", encoding="utf-8")
    faults = [f"{name}:{fault}" for name, source in sources.items() for fault in docstring_faults(source)]
    faults += differences(counts, allowed)
    print("\n".join(faults) or f"{len(sources)} modules without a fault; {sum(allowed.values())} old words elsewhere.")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
