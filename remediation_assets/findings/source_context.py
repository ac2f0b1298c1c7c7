"""The source context: what a person says about files that do not name their repository, service or root.

Also the scan request: the files to read, and the options of their source context. Both are read from options and TOML
files here.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from remediation_assets.findings.formats.row import Row
from remediation_assets.findings.vocabulary.path import repository_address, repository_path

from .errors import FindingsFileError


@dataclass(frozen=True)
class Service:
    """A part of the code with a name of its own: the files below `path`, of one repository or of any.

    `root` is where that repository was checked out for the scan, for files with absolute paths.
    """

    name: str
    path: str = ""
    repo_url: str = ""
    root: str = ""


class _Match(NamedTuple):
    """A service that a row belongs to, and the row's path in the repository; the highest rank wins."""

    rank: tuple[int, int]
    service: Service
    path: str


@dataclass(frozen=True)
class SourceContext:
    """What a person says about the files that are read; it fills in what a file itself does not say."""

    repo_url: str = ""
    service: str = ""
    root: str = ""
    services: tuple[Service, ...] = ()
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """The column of a CSV file that holds each field, in the form that the format module `mapped_csv` expects."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the source context; a file that was read with another one is read again."""
        services = [[one.name, one.path, one.repo_url, one.root] for one in self.services]
        written = json.dumps([self.repo_url, self.service, self.root, services, self.mapping], sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def resolve(self, row: Row) -> Row:
        """Return a row with its path in the repository, and with repository and service as far as they are known.

        What the file says about a row takes precedence over the source context. Without any service the service is
        named after the repository.
        """
        path = row.get("file_path") or ""
        address = repository_address(row.get("repo_url") or "")
        match = self._service_of(path, address)
        service_name = match.service.name if match else self.service
        repo_url = address or repository_address((match.service.repo_url if match else "") or self.repo_url)
        return row | Row(
            file_path=match.path if match else repository_path(path, [self.root] if self.root else []),
            repo_url=repo_url or None,
            service_name=row.get("service_name") or service_name or _bare(repo_url).rpartition("/")[2] or None,
        )

    def _service_of(self, path: str, address: str) -> _Match | None:
        """Return the service that holds a path; of several, the one with the longest root, then the longest path."""
        best: _Match | None = None
        for service in self.services:
            if address and service.repo_url and _bare(address) != _bare(service.repo_url):
                continue
            below = repository_path(path, [root for root in (service.root, self.root) if root])
            is_below_root = not service.root or below != repository_path(path)
            if is_below_root and _is_below(below, service.path):
                rank = (len(service.root), len(service.path.strip("/")))
                if best is None or rank > best.rank:
                    best = _Match(rank, service, below)
        return best


OPTIONS = ("repo_url", "service", "root", "services", "columns")
"""The options of a source context, as a person gives them; the last two are paths of TOML files."""


@dataclass(frozen=True)
class ScanRequest:
    """What a person asks to be read: files and folders, and the options of their source context.

    `services` and `columns` are paths of TOML files: one of services, one of a mapping from columns.
    """

    paths: tuple[Path, ...]
    repo_url: str = ""
    service: str = ""
    root: str = ""
    services: str = ""
    columns: str = ""

    def source_context(self) -> SourceContext:
        """Load the files that are named; raise FindingsFileError for one that cannot be used."""
        return SourceContext(
            repo_url=self.repo_url,
            service=self.service,
            root=self.root,
            services=load_services(Path(self.services)) if self.services else (),
            mapping=read_toml(Path(self.columns)) if self.columns else {},
        )

    @property
    def options(self) -> dict[str, str]:
        """Return the options that are not empty."""
        return {name: value for name in OPTIONS if (value := getattr(self, name))}

    def to_text(self) -> str:
        """Return the request as text, which the ledger keeps for the next run that names no file."""
        return json.dumps(asdict(self) | {"paths": [str(path) for path in self.paths]})

    @classmethod
    def from_text(cls, text: str) -> "ScanRequest":
        """Return the request that was kept as text; older ledgers hold only the paths, one a line."""
        if not text.startswith("{"):
            return cls(tuple(Path(line) for line in text.split("\n") if line))
        values = json.loads(text)
        return cls(**values | {"paths": tuple(map(Path, values["paths"]))})


def load_services(path: Path) -> tuple[Service, ...]:
    """Read a services file; raise FindingsFileError if it cannot be used.

    The file is TOML with a table `[[service]]` for each service: `name`, and if needed `path`, `repo_url`, `root`.
    """
    content = read_toml(path)
    unknown = sorted(set(content) - {"service"})
    entries = content.get("service", [])
    if unknown or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FindingsFileError(f"{path} is not a services file; expected tables [[service]] with name and path.")
    services = []
    for entry in entries:
        wrong = sorted(set(entry) - {"name", "path", "repo_url", "root"})
        if wrong or not all(isinstance(value, str) for value in entry.values()) or not entry.get("name"):
            reason = f"{wrong[0]} is not one of its fields" if wrong else "name is required, and all values are texts"
            raise FindingsFileError(f"{path}: a [[service]] has name, path, repo_url and root; {reason}.")
        services.append(Service(**entry))
    return tuple(services)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise FindingsFileError if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FindingsFileError(f"{path} cannot be read ({error.strerror}); give a file you may read.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FindingsFileError(f"{path} is not TOML in UTF-8 ({error}); correct it.") from None


def _bare(repo_url: str) -> str:
    return repo_url.rstrip("/").removesuffix(".git").rstrip("/")


def _is_below(path: str, folder: str) -> bool:
    plain = folder.strip("/")
    return not plain or path == plain or path.startswith(plain + "/")
