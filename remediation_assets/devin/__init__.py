"""The Devin API behind one client: v3 on the wire, our own types and errors outside."""
