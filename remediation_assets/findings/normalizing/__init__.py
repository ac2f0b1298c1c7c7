"""The words of scanners into ours: severities, categories, packages, languages, paths. Tables and pure functions."""
