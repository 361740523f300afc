"""Figures as objects: data first, drawn once as light SVG, or with matplotlib for interactive work."""

from irkit.charts.bars import DurationBar, MilestoneBars
from irkit.charts.levels import LevelLane, Levels, Turn
from irkit.charts.quantiles import QuantileChart, QuantilePoint
from irkit.charts.retaining import RetainingPath, Step, below_each_other
from irkit.charts.stacked import Part, StackedBar, StackedBars
from irkit.charts.strip import Band, Bar, BarLane, IncidentStrip, Lane, LineLane, Mark, MarkLane, Milestone, Point
from irkit.charts.treemap import Cell, Treemap

__all__ = [
    "Band",
    "Bar",
    "BarLane",
    "Cell",
    "DurationBar",
    "IncidentStrip",
    "Lane",
    "LevelLane",
    "Levels",
    "LineLane",
    "Mark",
    "MarkLane",
    "Milestone",
    "MilestoneBars",
    "Part",
    "Point",
    "QuantileChart",
    "QuantilePoint",
    "RetainingPath",
    "StackedBar",
    "StackedBars",
    "Step",
    "Treemap",
    "Turn",
    "below_each_other",
]
