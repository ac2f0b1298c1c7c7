"""The house: which floor may import which, and who may touch the database and the network."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import remediation_assets

PACKAGE = "remediation_assets"
ROOT = Path(remediation_assets.__file__).parent

# Top to bottom. A room imports from its own floor and those below it.
FLOORS = (
    ("definitions", "cli", "runs", "dashboard"),
    ("assets", "checks", "sensors", "jobs", "resources", "liveness", "progress"),
    ("sessions",),
    ("planning",),
    ("findings",),
    ("devin", "slack"),
    ("ledger",),
    ("models", "settings", "errors", "escaping"),
)
WITH_DAGSTER = {room for floor in FLOORS[:2] for room in floor}
CONNECTS = ("ledger.", "findings.reading")


@dataclass(frozen=True)
class Module:
    """A module's name below the package, and its text."""

    name: str
    source: str

    @property
    def room(self) -> str:
        return self.name.split(".")[0]


def modules() -> list[Module]:
    paths = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [Module(name, path.read_text(encoding="utf-8")) for name, path in zip(names, paths, strict=True)]


def imports(module: Module) -> Iterator[str]:
    """Give the full names of everything that a module imports, anywhere in it."""
    package = [PACKAGE, *module.name.removesuffix(".__init__").split(".")]
    if not module.name.endswith(".__init__"):
        package.pop()
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def floor_of(room: str) -> int | None:
    return next((number for number, floor in enumerate(FLOORS) if room in floor), None)


def faults(module: Module) -> list[str]:
    """Say what a module does that its place in the house forbids."""
    found = []
    mine = floor_of(module.room)
    if mine is None:
        return [f"{module.name} is in no room of the house"]
    for name in imports(module):
        first, *rest = name.split(".")
        if first == "dagster" and module.room not in WITH_DAGSTER:
            found.append(f"{module.name} imports {name}, which belongs above the line")
        if first == "httpx" and module.room not in ("devin", "slack"):
            found.append(f"{module.name} imports {name}, which belongs to devin and slack")
        if first != PACKAGE or not rest:
            continue
        theirs = floor_of(rest[0])
        if theirs is None:
            found.append(f"{module.name} imports {name}, which is in no room of the house")
        elif theirs < mine:
            found.append(f"{module.name} imports {name} from a floor above")
        if rest[0] != module.room and any(part.startswith("_") for part in rest):
            found.append(f"{module.name} imports {name} from another room's insides")
    if connects(module) and not module.name.startswith(CONNECTS):
        found.append(f"{module.name} opens a database")
    return found


def connects(module: Module) -> bool:
    """Say whether a module calls `duckdb.connect`, or takes it out of duckdb to do so."""
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "duckdb.connect":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "duckdb" and "connect" in [a.name for a in node.names]:
            return True
    return False


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_every_module_keeps_to_its_floor(module: Module) -> None:
    assert faults(module) == []


def test_every_room_of_the_house_is_looked_at() -> None:
    rooms = {module.room for module in modules()}
    assert {"definitions", "cli", "assets", "sessions", "planning", "findings", "devin", "ledger", "models"} <= rooms


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        ("ledger.ledger", "from remediation_assets.sessions.gate import judge_wave", "from a floor above"),
        ("ledger.ledger", "import remediation_assets.sessions.gate", "from a floor above"),
        ("ledger.ledger", "from ..sessions import gate", "from a floor above"),
        ("ledger.__init__", "from ..sessions.gate import judge_wave", "from a floor above"),
        ("planning.waves", "from remediation_assets.sessions.rounds import last_round", "from a floor above"),
        ("findings.reading", "def f():\n    from remediation_assets.planning import waves", "from a floor above"),
        ("models", "from remediation_assets.ledger.ledger import Ledger", "from a floor above"),
        ("assets.findings", "from remediation_assets.cli import main", "from a floor above"),
        ("sessions.gate", "import dagster as dg", "above the line"),
        ("devin.simulator.world", "from dagster._core import x", "above the line"),
        ("sessions.advance", "import httpx", "belongs to devin and slack"),
        ("assets.sessions", "from httpx import Client", "belongs to devin"),
        ("sessions.gate", "from remediation_assets.planning.prompts import _clean", "another room's insides"),
        ("cli", "from remediation_assets.ledger import _hidden", "another room's insides"),
        ("sessions.gate", "import duckdb\nduckdb.connect('x')", "opens a database"),
        ("findings.ranking", "from duckdb import connect", "opens a database"),
        ("cli", "import duckdb, sqlite3\nsqlite3.connect('x')\nduckdb.connect('x')", "opens a database"),
        ("helpers", "", "is in no room"),
        ("cli", "from remediation_assets.helpers import x", "is in no room"),
    ],
)
def test_a_module_that_breaks_a_rule_is_found(name: str, source: str, fault: str) -> None:
    [found] = faults(Module(name, source))
    assert fault in found


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("definitions", "import dagster as dg\nfrom remediation_assets.assets import findings"),
        ("sessions.advance", "from remediation_assets.ledger.ledger import Ledger\nfrom .gate import judge_wave"),
        ("devin.simulator.app", "import httpx\nfrom ..types import DevinSession"),
        ("ledger.schema", "import duckdb\nduckdb.connect('x')"),
        ("findings.reading", "import duckdb\nduckdb.connect('x')"),
        ("sessions.gate", "from duckdb import DuckDBPyConnection\nfrom .gate import _mine"),
        ("assets.findings", "from remediation_assets.resources import Pipeline"),
        ("devin.simulator.store", "import sqlite3\nsqlite3.connect('x')"),
    ],
)
def test_a_module_that_keeps_the_rules_is_left_in_peace(name: str, source: str) -> None:
    assert faults(Module(name, source)) == []
