"""The dashboard: what a security lead looks at all day, and where pull requests are reviewed.

Reads the published results, with a fresh connection for each request; the only writes are reviews,
through the ledger's ordinary transaction.
"""
