"""Reading a hundred thousand SARIF results into the ledger, compared with parsing the same JSON alone.

SARIF_RESULTS sets another number of results.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.support.processes import CHECKOUT

# The targets for a hundred thousand results, about 200 MB: seconds, and MB of memory.
WANTED_SECONDS, WANTED_MB = 30.0, 2000.0

_FLOOR = """
import json, sys, time
from pathlib import Path
from tests.benchmarks.findings_steps import peak_mb
begun = time.perf_counter()
json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
print(json.dumps({"seconds": time.perf_counter() - begun, "peak MB": peak_mb()}))
"""

_OURS = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.source_context import ScanRequest
from remediation_assets.findings.intake.scan import scan_files
from remediation_assets.connect import open_ledger
from remediation_assets.settings import load_settings
from tests.benchmarks.findings_steps import peak_mb
ledger = open_ledger(load_settings())
ledger.verify()
begun = time.perf_counter()
request = ScanRequest((Path(sys.argv[1]),), repo_url="https://github.com/acme/shop")
scanned = scan_files(ledger, request, Rules(True), max_rejected_share=0.5, now=datetime.now(UTC))
assert sum(scan.accepted for scan in scanned.new_scans) == int(sys.argv[2])
print(json.dumps({"seconds": time.perf_counter() - begun, "peak MB": peak_mb()}))
"""


def figures() -> Iterator[Figure]:
    results = int(os.environ.get("SARIF_RESULTS", "100000"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "scan.sarif"
        _write(source, results)
        megabytes = source.stat().st_size / 1e6
        floor, ours = (_run(script, folder, source, results) for script in (_FLOOR, _OURS))
    size = f"{results:,} SARIF results, {megabytes:.0f} MB"
    yield Figure(f"{size}, read", ours["seconds"], "s", floor["seconds"], "json.loads alone")
    yield Figure(f"{size}, read", ours["seconds"], "s", WANTED_SECONDS, "wanted of 100,000")
    yield Figure(f"{size}, peak memory", ours["peak MB"], "MB", floor["peak MB"], "json.loads alone")
    yield Figure(f"{size}, peak memory", ours["peak MB"], "MB", WANTED_MB, "wanted of 100,000")


def _write(path: Path, results: int) -> None:
    """Write results with the fields that CodeQL writes, including code flows and snippets."""
    rules = [
        {
            "id": f"py/rule-{number}",
            "shortDescription": {"text": f"Rule {number}"},
            "fullDescription": {"text": "A rule about something that should not be. " * 4},
            "defaultConfiguration": {"level": "warning"},
            "properties": {
                "tags": ["security", f"external/cwe/cwe-{number:03}"],
                "security-severity": f"{number % 10}.5",
            },
        }
        for number in range(1, 200)
    ]

    def place(number: int) -> dict[str, object]:
        region = {"startLine": number % 900 + 1, "startColumn": 5, "endColumn": 40}
        snippet = {"text": f"    value_{number} = request.args.get('q')  # \u2713 seen\n" * 3}
        uri = f"services/part_{number % 50}/module_{number % 3000}.py"
        where = {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}
        return {"physicalLocation": where | {"contextRegion": region | {"snippet": snippet}}}

    with path.open("w", encoding="utf-8") as file:
        head = {"tool": {"driver": {"name": "CodeQL", "rules": rules}}}
        file.write('{"version": "2.1.0", "runs": [' + json.dumps(head)[:-1] + ', "results": [')
        for number in range(results):
            flow = {"threadFlows": [{"locations": [{"location": place(number + step)} for step in range(3)]}]}
            result = {
                "ruleId": rules[number % len(rules)]["id"],
                "ruleIndex": number % len(rules),
                "message": {"text": f"This value ({number}) comes from a user. " * 3},
                "locations": [place(number)],
                "partialFingerprints": {"primaryLocationLineHash": f"{number:016x}:1"},
                "codeFlows": [flow],
            }
            file.write(("," if number else "") + json.dumps(result, ensure_ascii=False))
        file.write("]}]}")


def _run(script: str, folder: Path, source: Path, results: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        env = {"PATH": os.environ["PATH"], "HOME": own, "REMEDIATION_DATA_DIR": own}
        command = [sys.executable, "-c", script, str(source), str(results)]
        done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))
