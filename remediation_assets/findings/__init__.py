"""Findings, from the files that scanners write to ranked rows of the ledger.

`intake` brings a file into the ledger, `formats` reads what each scanner writes, and `vocabulary` translates the
scanners' words into ours. Cutting findings into waves is not done here.
"""
