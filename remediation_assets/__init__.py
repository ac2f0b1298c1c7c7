"""Clear a backlog of security findings with Devin, wave by wave, as Dagster assets."""
