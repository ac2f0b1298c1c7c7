"""The JSON Schema of the state file and of `GET /api/status`, in docs, written from the models.

`python -m tests.documents.state_schema` writes it; a test compares it, and validates real files against it.
"""

import json
from pathlib import Path

from remediation_assets.models import BatchRun

PATH = Path(__file__).parents[2] / "docs" / "state_file.schema.json"


def schema() -> str:
    """Return the schema as the text of its file."""
    written = BatchRun.model_json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "State file"}
    return json.dumps({**head, **{name: value for name, value in written.items() if name != "title"}}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema(), encoding="utf-8")
