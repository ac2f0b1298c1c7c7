"""Where findings come from, for files that do not tell it: repository, service, what stands before their paths."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import FindingsFileError
from .normalizing.paths import repository_address, repository_path
from .readers.row import Row


@dataclass(frozen=True)
class Service:
    """A part of the code under its own name: the files below `path`, of one repository or of any.

    `root` is where that repository lay when it was scanned, for files that tell whole paths.
    """

    name: str
    path: str = ""
    repo_url: str = ""
    root: str = ""


@dataclass(frozen=True)
class Origin:
    """What a person says of the files that are read; it fills in what a file itself does not tell."""

    repo_url: str = ""
    service: str = ""
    root: str = ""
    services: tuple[Service, ...] = ()
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """Which column of a CSV file holds which field, as `mapped_csv` takes it."""

    @property
    def fingerprint(self) -> str:
        """Tell this from other sayings: a file that was read by others is read again."""
        services = [[one.name, one.path, one.repo_url, one.root] for one in self.services]
        written = json.dumps([self.repo_url, self.service, self.root, services, self.mapping], sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def placed(self, row: Row) -> Row:
        """Give a row with its path as one in the repository, and with repository and service where they are known.

        A service whose path is longest stands; without any its name is that of the repository.
        """
        path = row.get("file_path") or ""
        told = repository_address(row.get("repo_url") or "")
        best: tuple[tuple[int, int], Service, str] | None = None
        for service in self.services:
            below = repository_path(path, [root for root in (service.root, self.root) if root])
            is_there = not service.root or below != repository_path(path)
            if told and service.repo_url and _bare(told) != _bare(service.repo_url):
                continue
            if is_there and _is_below(below, service.path):
                rank = (len(service.root), len(service.path.strip("/")))
                if best is None or rank > best[0]:
                    best = (rank, service, below)
        service_name = best[1].name if best else self.service
        repo_url = told or repository_address((best[1].repo_url if best else "") or self.repo_url)
        return row | Row(
            file_path=best[2] if best else repository_path(path, [self.root] if self.root else []),
            repo_url=repo_url or None,
            service_name=row.get("service_name") or service_name or _bare(repo_url).rpartition("/")[2] or None,
        )


@dataclass(frozen=True)
class Given:
    """What a person gave to be read: files and folders, and what they say of them.

    `services` and `columns` are paths of TOML files: one of services, one of a mapping from columns.
    """

    paths: tuple[Path, ...]
    repo_url: str = ""
    service: str = ""
    root: str = ""
    services: str = ""
    columns: str = ""

    def origin(self) -> Origin:
        """Load the files that were named; raises FindingsFileError for one that cannot be used."""
        return Origin(
            repo_url=self.repo_url,
            service=self.service,
            root=self.root,
            services=load_services(Path(self.services)) if self.services else (),
            mapping=read_toml(Path(self.columns)) if self.columns else {},
        )

    def written(self) -> str:
        """Give this as a text, to be read the next time where nothing is given."""
        return json.dumps(asdict(self) | {"paths": [str(path) for path in self.paths]})

    @classmethod
    def from_written(cls, written: str) -> "Given":
        """Give back what was written; ledgers of before hold the paths alone, one a line."""
        if not written.startswith("{"):
            return cls(tuple(Path(line) for line in written.split("\n") if line))
        told = json.loads(written)
        return cls(**told | {"paths": tuple(map(Path, told["paths"]))})


def load_services(path: Path) -> tuple[Service, ...]:
    """Read a services file; raises FindingsFileError for one that cannot be used.

    It is TOML: a table `[[service]]` for each, with `name` and as needed `path`, `repo_url`, `root`.
    """
    content = read_toml(path)
    unknown = sorted(set(content) - {"service"})
    entries = content.get("service", [])
    if unknown or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FindingsFileError(f"{path} is no services file; expected tables [[service]] with name and path.")
    services = []
    for entry in entries:
        wrong = sorted(set(entry) - {"name", "path", "repo_url", "root"})
        if wrong or not all(isinstance(value, str) for value in entry.values()) or not entry.get("name"):
            reason = f"{wrong[0]} is not one of its fields" if wrong else "name is needed, and all are texts"
            raise FindingsFileError(f"{path}: a [[service]] has name, path, repo_url and root; {reason}.")
        services.append(Service(**entry))
    return tuple(services)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises FindingsFileError for one that cannot be read."""
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
