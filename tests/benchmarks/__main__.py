"""Run all benchmarks, or those named, and print their figures: `python -m tests.benchmarks [NAME...]`.

BENCH_JSON names a file to which they are written as JSON. Figures are ratios to a floor or a peer of the same run, so
that they can be compared between machines.
"""

import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main(names: list[str]) -> None:
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names or NAMES:
        print(f"\n{name}")
        found[name] = []
        for figure in importlib.import_module(f"tests.benchmarks.bench_{name}").figures():
            print(f"  {figure}", flush=True)
            found[name].append(asdict(figure))
    if "BENCH_JSON" in os.environ:
        Path(os.environ["BENCH_JSON"]).write_text(json.dumps(found, indent=1))


main(sys.argv[1:])
