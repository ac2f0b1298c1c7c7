"""The harness that tests share; nothing here is a test.

`worker` runs waves over a scripted Devin, as a run or the sensor would, on a clock that the test sets (`clock`).
`scripted_devin` is the simulator's wire with sessions that end as a test says.
`samples` writes small findings files and reads, ranks and plans them; `synthetic_ledger` fills a ledger in which
everything has happened, of any size. `ledgers` keeps such ledgers for a session and copies them.
`scanner_documents` and `scanner_files` make what scanners write; `hostile_texts` is what an attacker would write.
`frozen_schema` is the schema of each version of the ledger, from which migrations are tested.
`processes` starts real programs and ends them with the test.
"""
