"""The report as data: `build` computes it, its sections show themselves."""

from irkit.report.build import POSTMORTEM, Report, build

__all__ = ["POSTMORTEM", "Report", "build"]
