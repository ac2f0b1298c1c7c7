"""Turn scanners' paths into paths in the repository: with forward slashes, relative to its root.

A path that has no such form is returned as it is; validation then rejects its row.
"""

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import unquote

# An address, or the source of a module: `https://...`, `git::...`.
_ADDRESS = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:(?:/|:)", re.IGNORECASE)

_DRIVE = re.compile(r"^/?([A-Za-z]):(?=/|$)")


def path_of_uri(uri: str) -> str:
    """Return the path that a `file:` URI or a relative reference names (RFC 3986); other text as it is."""
    if re.match(r"^[A-Za-z]:[\\/]", uri):
        return uri.replace("\\", "/")
    if _ADDRESS.match(uri):
        return uri
    # A `#` or `?` and what follows belong to the name: files have neither fragment nor query.
    if not uri.lower().startswith("file:"):
        return unquote(uri)
    path = unquote(uri[len("file:") :])
    if not path.startswith("//"):
        return _with_drive(path)
    host, slash, below = path[2:].partition("/")
    return _with_drive(slash + below) if host.lower() in ("", "localhost") else path


def repository_path(path: str, roots: Iterable[str] = ()) -> str:
    """Return a path in normal form, relative to the first of the roots that contains it, if any does."""
    plain = _with_drive(path.strip().replace("\\", "/"))
    if plain.lower().startswith("file:"):
        plain = path_of_uri(plain)
    if _ADDRESS.match(plain):
        return plain
    for root in roots:
        below = _below(plain, _with_drive(path_of_uri(root.replace("\\", "/"))))
        if below is not None:
            plain = below
            break
    if not plain:
        return plain
    # Dots are resolved, except for a leading `..`: it leads out of the repository, and validation rejects it.
    normal = posixpath.normpath(plain)
    return normal if not normal.startswith("//") else plain


def repository_address(address: str) -> str:
    """Return a repository's https address without user and password, also for an address that git uses over ssh."""
    plain = address.strip()
    ssh = re.fullmatch(r"(?:ssh://)?[A-Za-z0-9._-]+@([^:/@]+)(?::\d+)?[:/](.+?)(?:\.git)?/?", plain)
    if ssh:
        return f"https://{ssh[1]}/{ssh[2].lstrip('/')}"
    return re.sub(r"^(https?://)[^/@]*@", r"\1", plain)


def _with_drive(path: str) -> str:
    """Return a path with its drive written as `C:`, without the slash that URIs put before it."""
    return _DRIVE.sub(lambda found: f"{found[1].upper()}:", path)


def _below(path: str, root: str) -> str | None:
    """Return a path relative to a root, or None if it is not below it."""
    base = posixpath.normpath(root) if root else ""
    if not base:
        return None
    normal = posixpath.normpath(path)
    if base in (normal, "/"):
        return normal.lstrip("/") if base == "/" and normal.startswith("/") else "." if normal == base else None
    return normal[len(base) + 1 :] if normal.startswith(base + "/") else None
