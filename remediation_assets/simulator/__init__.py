"""Our own Devin: the same HTTP API over a durable world of simulated sessions."""
