"""Name a dependency by its package URL, `pkg:npm/lodash`, so that it is the same for every scanner.

The URL is without a version, because versions have columns of their own. See https://github.com/package-url/purl-spec.
"""

import re
from collections.abc import Iterable

from packageurl import PackageURL

# The types of package URLs, and the names that scanners have for such an ecosystem, in lower case.
_TYPES = {
    "pypi": "pypi python pip pipenv poetry uv pip_requirements",
    "npm": "npm yarn pnpm node node-pkg nodejs javascript bun",
    "maven": "maven jar java gradle pom sbt maven_coursier",
    "golang": "go golang gomod gobinary gomodules golangdep govendor",
    "gem": "rubygems gem gems ruby bundler gemspec",
    "composer": "composer packagist php composer-vendor",
    "nuget": "nuget dotnet dotnet-core dotnet-deps paket packages-props packages-config",
    "cargo": "cargo crates.io rust rustbinary rust-binary",
    "pub": "pub dart",
    "hex": "hex mix elixir erlang",
    "swift": "swift swifturl",
    "cocoapods": "cocoapods",
    "conan": "conan conancenter",
    "github": "github actions githubactions github-actions",
    "apk": "alpine wolfi chainguard apk",
    "deb": "debian ubuntu deb",
    "rpm": "redhat centos rocky almalinux alma fedora amazon oracle suse opensuse photon cbl-mariner rpm linux",
}
_BY_ECOSYSTEM = {word: kind for kind, words in _TYPES.items() for word in words.split()}


def package_type(ecosystem: object) -> str | None:
    """Return the package URL type of an ecosystem as a scanner names it: `deb` for `Debian:11`."""
    word = ecosystem.partition(":")[0].strip().lower() if isinstance(ecosystem, str) else ""
    return _BY_ECOSYSTEM.get(word.replace(" ", "-")) or _BY_ECOSYSTEM.get(word.replace(" ", ""))


def package_name(ecosystem: object, name: str, *, vendor: str | None = None) -> str:
    """Return a package's URL without its version, or the name alone if its ecosystem is not known."""
    kind = package_type(ecosystem)
    if not kind or not name.strip():
        return name.strip()
    namespace, plain = _split(kind, name.strip())
    try:
        return PackageURL(type=kind, namespace=namespace or vendor, name=plain).to_string()
    except ValueError:
        return name.strip()


def without_version(purl: object) -> str | None:
    """Return a package URL without version, qualifiers and subpath, or None if the value is not a package URL."""
    try:
        parsed = PackageURL.from_string(purl) if isinstance(purl, str) else None
    except ValueError:
        return None
    return PackageURL(parsed.type, parsed.namespace, parsed.name).to_string() if parsed else None


def _split(kind: str, name: str) -> tuple[str | None, str]:
    """Split a name as its ecosystem writes it: `group:artifact`, `@scope/name`, `vendor/name`, a Go module's path."""
    separator = ":" if kind == "maven" and ":" in name else "/"
    namespace, _, plain = name.rpartition(separator)
    return namespace or None, plain


def join_versions(versions: Iterable[str]) -> str | None:
    """Return versions as one text, each once, or None if there are none.

    The versions are sorted, because the text is part of the finding key and a file may list them in any order.
    """

    def by_numbers(version: str) -> list[tuple[int, str]]:
        # Numbers compare by their count of digits first: Python converts none of more than 4300. A word comes first.
        parts = (part.lstrip("0") if part.isdecimal() else part for part in re.split(r"(\d+)", version) if part)
        return [(len(part), part) if not part or part.isdecimal() else (-1, part) for part in parts]

    return ", ".join(sorted(set(versions), key=by_numbers)) or None
