"""The `irkit` command: one short function a subcommand."""

from irkit.cli.commands import main

__all__ = ["main"]
