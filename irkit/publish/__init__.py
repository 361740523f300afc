"""Executed notebooks as pages: one file that asks nobody for anything and runs nothing."""

from irkit.publish.exporter import IrkitExporter, to_html

__all__ = ["IrkitExporter", "to_html"]
