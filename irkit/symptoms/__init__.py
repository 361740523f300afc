"""Symptoms of the runbook, one file each; found by walking this package."""
