"""Collectors, one file a source; found by walking this package."""
