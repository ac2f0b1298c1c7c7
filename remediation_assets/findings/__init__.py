"""Findings, from the files that scanners write to ranked rows of the ledger.

`intake` is the way of a file into the ledger, `formats` what scanners write, `vocabulary` their words in ours. Cutting
findings into waves is not done here.
"""
