"""The Devin API behind one client: v1 or v3 over HTTP, our own types and errors for callers."""
