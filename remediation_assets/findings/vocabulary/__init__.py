"""Translate the scanners' vocabulary into ours: severity, category, package, path, language.

Tables and pure functions, which know no format and no file.
"""
