"""Find the category of a finding: by its CWE numbers, or else by its rule's id; never guessed from free text.

The category chooses the playbook, so the tables have only what such a playbook fixes: a related weakness (CWE-327, a
broken cipher, is not missing encryption) is `other`.
"""

import re
from collections.abc import Iterable

from remediation_assets.models import FindingCategory

# If a rule names several, the first of this order decides: CodeQL's clear-text logging names CWE-312 and CWE-532.
_BY_CWE: dict[FindingCategory, tuple[int, ...]] = {
    FindingCategory.SQL_INJECTION: (89, 564),
    FindingCategory.XSS: (79, 80, 81, 82, 83, 84, 85, 86, 87),
    FindingCategory.PATH_TRAVERSAL: (22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 73),
    FindingCategory.HARDCODED_SECRET: (259, 321, 547, 798),
    FindingCategory.PII_LOGGING: (532,),
    FindingCategory.ACCESS_LOGGING: (223, 778),
    FindingCategory.MISSING_ENCRYPTION: (311, 312, 313, 314, 315, 316, 317, 318, 319),
    FindingCategory.DEPENDENCY_VULNERABILITY: (937, 1035, 1104, 1395),
}

# For tools that name no CWE: a rule's whole id, or its part after the last slash, as in `py/sql-injection`.
_BY_RULE: dict[FindingCategory, str] = {
    FindingCategory.SQL_INJECTION: """
        sql-injection sqli unsafe-sql-injection sql-injection-more-complex-queries
        B608 G201 G202 S3649 S2077 SQL_INJECTION SQL_INJECTION_JDBC SQL_INJECTION_JPA SQL_INJECTION_HIBERNATE
        SQL_INJECTION_SPRING_JDBC SQL_NONCONSTANT_STRING_PASSED_TO_EXECUTE
        SQL_PREPARED_STATEMENT_GENERATED_FROM_NONCONSTANT_STRING""",
    FindingCategory.XSS: """
        xss reflective-xss reflected-xss stored-xss xss-through-dom xss-through-exception G203 XSS_SERVLET XSS_JSP_PRINT
        XSS_REQUEST_PARAMETER_TO_SERVLET_WRITER XSS_REQUEST_PARAMETER_TO_JSP_WRITER S5131""",
    FindingCategory.PATH_TRAVERSAL: """
        path-injection path-traversal zipslip tarslip G304 G305 PATH_TRAVERSAL_IN PATH_TRAVERSAL_OUT
        PT_RELATIVE_PATH_TRAVERSAL PT_ABSOLUTE_PATH_TRAVERSAL S2083""",
    FindingCategory.HARDCODED_SECRET: """
        hardcoded-credentials hardcoded-credentials-api-call hardcoded-credential-api-call hardcoded-password
        B105 B106 B107 G101 HARD_CODE_PASSWORD HARD_CODE_KEY DMI_CONSTANT_DB_PASSWORD S2068 S6418""",
    FindingCategory.PII_LOGGING: "clear-text-logging cleartext-logging clear-text-logging-sensitive-data",
    FindingCategory.MISSING_ENCRYPTION: """
        clear-text-storage-sensitive-data cleartext-storage cleartext-transmission UNENCRYPTED_SOCKET
        UNENCRYPTED_SERVER_SOCKET""",
    FindingCategory.ACCESS_LOGGING: "",
    FindingCategory.DEPENDENCY_VULNERABILITY: "",
}

# Everything that these tools find has one category.
_BY_TOOL = {
    "gitleaks": FindingCategory.HARDCODED_SECRET,
    "trufflehog": FindingCategory.HARDCODED_SECRET,
    "detect-secrets": FindingCategory.HARDCODED_SECRET,
}

# A weakness of a dependency, whatever it is, is fixed by another version of the dependency.
_DEPENDENCY_TOOLS = {"dependabot", "osv-scanner", "grype", "dependency-check", "snyk open source", "snyk container"}
_DEPENDENCY_TOOLS |= {"ospackagevulnerability", "languagespecificpackagevulnerability"}  # rules of Trivy

_NUMBERS = {number: category for category, numbers in _BY_CWE.items() for number in numbers}
_RULES = {rule.lower(): category for category, rules in _BY_RULE.items() for rule in rules.split()}
_CWE = re.compile(r"(?:^|[^A-Za-z])cwe[-_ :/]?0*(\d{1,5})(?!\d)", re.IGNORECASE)


def cwe_numbers(values: Iterable[object], *, bare: bool = False) -> list[int]:
    """Return the CWE numbers in some labels, such as `external/cwe/cwe-089` or `CWE-89: SQL Injection`.

    With `bare`, a number alone such as `89` counts too; use it for labels that can only be CWEs.
    """
    found: dict[int, None] = {}
    for value in values:
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        is_bare = bare and re.fullmatch(r"[0-9]{1,5}(?:[,; ]+[0-9]{1,5})*", text)
        numbers = re.findall(r"[0-9]+", text) if is_bare else _CWE.findall(text)
        found |= dict.fromkeys(int(number) for number in numbers if int(number))
    return list(found)


def categorize(
    cwes: Iterable[int], *, rule_id: str | None = None, rule_name: str | None = None, tool: str = ""
) -> tuple[FindingCategory, str | None]:
    """Return a finding's category and the CWE to show with it: the one that decided, or else the first."""
    numbers = list(cwes)
    shown = f"CWE-{numbers[0]}" if numbers else None
    if {tool.lower(), (rule_name or "").lower()} & _DEPENDENCY_TOOLS:
        return FindingCategory.DEPENDENCY_VULNERABILITY, shown
    deciding = [number for number in numbers if number in _NUMBERS]
    order = list(_BY_CWE)
    if deciding:
        number = min(deciding, key=lambda one: order.index(_NUMBERS[one]))
        return _NUMBERS[number], f"CWE-{number}"
    names = [name.lower() for name in (rule_id, rule_name) if name]
    by_rule = next((_RULES[one] for name in names for one in (name, name.rpartition("/")[2]) if one in _RULES), None)
    return by_rule or _BY_TOOL.get(tool.lower()) or FindingCategory.OTHER, shown
