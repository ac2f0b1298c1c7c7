"""The harness that tests share; nothing here is a test.

`worker` works on waves with a scripted Devin, as a run or the sensor would, on a clock that the test sets (`clock`).
`scripted_devin` is a transport to the simulator whose sessions end as a test chooses.
`samples` writes small findings files and reads, ranks and plans them. `synthetic_ledger` fills a ledger of any size
with something of everything; `ledgers` keeps such ledgers for the session of pytest and copies them.
`scanner_documents` are small documents of each scanner format; `scanner_files` reads one. `hostile_texts` are texts
of an attacker.
`frozen_schema` is the schema of each version of the ledger, from which migrations are tested.
`processes` starts real programs and ends them with the test.
"""
