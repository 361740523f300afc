"""Since when something is wrong: change points, episodes, and the interval on which signals agree."""
