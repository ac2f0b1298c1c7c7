"""The house: no module imports what another room keeps to itself.

Which floor may import which, and who may use Dagster, the network and the database, is held by `make lint`:
`[tool.importlinter]` and ruff's banned-api in pyproject.toml.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import remediation_assets

PACKAGE = "remediation_assets"
ROOT = Path(remediation_assets.__file__).parent


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
    """Yield the full names of everything that a module imports, anywhere in it."""
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


def private_imports(module: Module) -> list[str]:
    """Return the private names of other rooms that a module imports."""
    found = []
    for name in imports(module):
        first, *rest = name.split(".")
        if first == PACKAGE and rest and rest[0] != module.room and any(part.startswith("_") for part in rest):
            found.append(name)
    return found


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_module_imports_no_private_name_of_another_room(module: Module) -> None:
    assert private_imports(module) == []


def test_every_room_of_the_house_is_looked_at() -> None:
    rooms = {module.room for module in modules()}
    assert {"cli", "orchestration", "reports", "sessions", "planning", "findings", "devin", "ledger", "models"} <= rooms


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("sessions.gate", "from remediation_assets.planning.prompts import _clean", "planning.prompts._clean"),
        ("cli", "from remediation_assets.ledger import _hidden", "ledger._hidden"),
        ("cli", "import remediation_assets.ledger._hidden", "ledger._hidden"),
        ("sessions.gate", "from ..planning.prompts import _clean", "planning.prompts._clean"),
        ("sessions.__init__", "from ..planning import _clean", "planning._clean"),
        ("sessions.gate", "def f():\n    from remediation_assets.planning._insides import x", "planning._insides.x"),
    ],
)
def test_an_import_of_another_rooms_private_name_is_found(name: str, source: str, found: str) -> None:
    assert private_imports(Module(name, source)) == [f"{PACKAGE}.{found}"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("sessions.gate", "from .gate import _mine"),
        ("sessions.gate", "from remediation_assets.sessions.store.rounds import _mine"),
        ("sessions.advance", "from remediation_assets.ledger.ledger import Ledger\nfrom .gate import judge_wave"),
        ("sessions.gate", "from os import _exit"),
    ],
)
def test_an_import_of_a_public_name_or_of_ones_own_is_left_in_peace(name: str, source: str) -> None:
    assert private_imports(Module(name, source)) == []
