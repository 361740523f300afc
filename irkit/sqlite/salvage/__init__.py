"""Rows out of a damaged SQLite file, page by page, into a new one."""

from irkit.sqlite.salvage.recover import Salvage, TableSalvage, salvage

__all__ = ["Salvage", "TableSalvage", "salvage"]
