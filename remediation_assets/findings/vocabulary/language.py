"""Find the language of a finding's code, by its file or by its package's ecosystem.

The names of ecosystems are in `packages`.
"""

from pathlib import PurePosixPath

_BY_SUFFIX = {
    "python": "py pyi pyx ipynb",
    "java": "java jsp",
    "kotlin": "kt kts",
    "scala": "scala sc",
    "groovy": "groovy gradle",
    "javascript": "js jsx mjs cjs vue svelte",
    "typescript": "ts tsx mts cts",
    "go": "go",
    "ruby": "rb erb rake",
    "php": "php phtml",
    "csharp": "cs cshtml razor",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx",
    "rust": "rs",
    "swift": "swift",
    "objective-c": "m mm",
    "dart": "dart",
    "elixir": "ex exs",
    "shell": "sh bash",
    "powershell": "ps1 psm1",
    "perl": "pl pm",
    "r": "r",
    "lua": "lua",
    "sql": "sql",
    "html": "html htm",
    "terraform": "tf",
}
_SUFFIXES = {suffix: language for language, suffixes in _BY_SUFFIX.items() for suffix in suffixes.split()}

# By the types of package URLs, https://github.com/package-url/purl-spec.
_BY_PACKAGE_TYPE = {
    "pypi": "python",
    "npm": "javascript",
    "maven": "java",
    "golang": "go",
    "gem": "ruby",
    "composer": "php",
    "nuget": "csharp",
    "cargo": "rust",
    "pub": "dart",
    "hex": "elixir",
    "swift": "swift",
    "cocoapods": "swift",
    "cran": "r",
}


def language_of_path(path: str) -> str | None:
    """Return the language of a file by its suffix, or None if the suffix is not known."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower().lstrip("."))


def language_of_package(kind: str) -> str | None:
    """Return the language of packages of a type, as package URLs name it."""
    return _BY_PACKAGE_TYPE.get(kind)
