"""The actions, one file each: see `irkit.act_contract`."""
