"""The actions, one file each: see `irkit.act.contract`."""
