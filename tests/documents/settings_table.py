"""The README's table of settings: `python -m tests.documents.settings_table` writes it from `Settings`."""

from pydantic import SecretStr

from remediation_assets.settings import CHECKOUT, Settings

README = CHECKOUT / "README.md"
_BEGIN, _END = "<!-- settings -->\n", "<!-- /settings -->\n"


def with_table(text: str) -> str:
    """Return the README's text with the table as it must be."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}{_table()}{_END}{after}"


def _table() -> str:
    rows = ["| setting | default | |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        shown = (
            "" if default in ("", (), None) else f"`{str(default).lower() if default in (True, False) else default}`"
        )
        if isinstance(default, dict):
            shown = "see `.env.example`"
        words = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{name.upper()}` | {shown} | {words} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    README.write_text(with_table(README.read_text()))


if __name__ == "__main__":
    main()
