"""The dashboard, where a security lead follows the waves and reviews pull requests.

Pages read the published results, with a new connection for each request. The only writes are reviews, in an
ordinary transaction of the ledger.
"""
