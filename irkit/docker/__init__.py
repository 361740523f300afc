"""The Docker Engine, asked for what it knows: its containers, their logs and events, their cgroups."""
