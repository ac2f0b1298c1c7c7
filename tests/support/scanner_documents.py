"""One small document of each scanner format."""

from typing import Any

_ISSUE = {
    "id": "SNYK-JS-1",
    "title": "Prototype Pollution",
    "severity": "high",
    "cvssScore": 7.3,
    "packageName": "lodash",
    "version": "4.17.20",
    "fixedIn": ["4.17.21"],
    "identifiers": {"CVE": ["CVE-2021-1"], "CWE": ["CWE-1321"]},
    "from": ["shop@1", "lodash@4.17.20"],
}

_PLACE = {"artifactLocation": {"uri": "src/a.py", "uriBaseId": "ROOT"}, "region": {"startLine": 3, "startColumn": 1}}

DOCUMENTS: dict[str, Any] = {
    "SARIF": {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Checker",
                        "rules": [
                            {
                                "id": "R1",
                                "name": "one",
                                "shortDescription": {"text": "Short"},
                                "properties": {"tags": ["external/cwe/cwe-089"], "security-severity": "7.5"},
                            }
                        ],
                    },
                    "extensions": [{"name": "more", "rules": [{"id": "R2"}]}],
                },
                "originalUriBaseIds": {"ROOT": {"uri": "file:///ci/"}, "SRC": {"uri": "src/", "uriBaseId": "ROOT"}},
                "artifacts": [{"location": {"uri": "src/b.py"}}],
                "taxonomies": [{"name": "CWE"}],
                "versionControlProvenance": [{"repositoryUri": "https://github.com/acme/shop"}],
                "invocations": [{"executionSuccessful": True}],
                "results": [
                    {
                        "ruleId": "R1",
                        "ruleIndex": 0,
                        "level": "error",
                        "message": {"text": "Bad"},
                        "locations": [{"physicalLocation": _PLACE}],
                        "partialFingerprints": {"hash": "abc:1"},
                        "suppressions": [],
                        "taxa": [{"id": "89", "toolComponent": {"index": 0}}],
                    },
                    {"rule": {"index": 0, "toolComponent": {"index": 0}}, "message": {"id": "x", "arguments": ["y"]}},
                    {"ruleId": "R2", "message": {"text": "Gone"}, "suppressions": [{"kind": "external"}]},
                ],
            }
        ],
    },
    "Semgrep JSON": {
        "results": [
            {
                "check_id": "rules.one",
                "path": "src/a.py",
                "start": {"line": 3, "col": 1},
                "extra": {
                    "message": "Bad",
                    "severity": "ERROR",
                    "fingerprint": "abc_0",
                    "metadata": {"cwe": ["CWE-89: SQL"]},
                    "sca_info": {"dependency_match": {"found_dependency": {"package": "x", "ecosystem": "npm"}}},
                },
            },
            {"check_id": "rules.two", "path": "src/b.py", "start": {"line": 1}, "extra": {"is_ignored": True}},
        ],
        "errors": [{"type": "Timeout"}],
    },
    "Trivy JSON": {
        "SchemaVersion": 2,
        "ArtifactName": "shop",
        "ArtifactType": "filesystem",
        "Results": [
            {
                "Target": "package-lock.json",
                "Class": "lang-pkgs",
                "Type": "npm",
                "Vulnerabilities": [
                    {
                        "VulnerabilityID": "CVE-1",
                        "PkgName": "lodash",
                        "PkgIdentifier": {"PURL": "pkg:npm/lodash@4.17.20"},
                        "Severity": "HIGH",
                        "SeveritySource": "nvd",
                        "CVSS": {"nvd": {"V3Score": 7.5}},
                        "CweIDs": ["CWE-1321"],
                    }
                ],
                "Misconfigurations": [{"ID": "DS002", "Severity": "HIGH", "Status": "PASS"}],
                "Secrets": [{"RuleID": "key", "Severity": "HIGH", "StartLine": 2}],
            }
        ],
    },
    "Snyk JSON": [
        {
            "vulnerabilities": [_ISSUE, _ISSUE | {"type": "license"}],
            "packageManager": "npm",
            "projectName": "shop",
            "displayTargetFile": "package-lock.json",
            "filtered": {"ignore": []},
        }
    ],
    "OSV-Scanner JSON": {
        "results": [
            {
                "source": {"path": "requirements.txt", "type": "lockfile"},
                "packages": [
                    {
                        "package": {"name": "jinja2", "version": "3.0.3", "ecosystem": "PyPI"},
                        "vulnerabilities": [
                            {
                                "id": "GHSA-1",
                                "aliases": ["CVE-1"],
                                "severity": [
                                    {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
                                ],
                                "affected": [
                                    {
                                        "package": {"name": "jinja2"},
                                        "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "3.1.3"}]}],
                                    }
                                ],
                                "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-79"]},
                            }
                        ],
                        "groups": [{"ids": ["GHSA-1"], "max_severity": "9.8"}],
                    }
                ],
            }
        ]
    },
    "GitHub alerts": [
        {
            "number": 1,
            "state": "open",
            "html_url": "https://github.com/acme/shop/security/code-scanning/1",
            "rule": {"id": "js/xss", "severity": "error", "tags": ["external/cwe/cwe-079"]},
            "tool": {"name": "CodeQL"},
            "most_recent_instance": {"location": {"path": "a.js", "start_line": 9}, "message": {"text": "XSS"}},
        },
        {
            "number": 2,
            "state": "dismissed",
            "security_advisory": {"ghsa_id": "GHSA-1", "cvss": {"score": 5.3}, "cwes": [{"cwe_id": "CWE-1333"}]},
            "dependency": {"package": {"ecosystem": "npm", "name": "semver"}, "manifest_path": "package-lock.json"},
            "security_vulnerability": {"severity": "medium", "first_patched_version": {"identifier": "7.5.2"}},
        },
        {"number": 3, "state": "open", "secret_type": "github_pat", "first_location_detected": {"path": "a.env"}},
    ],
}
