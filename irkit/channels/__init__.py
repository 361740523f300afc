"""The channels an incident is told through, one file each; found by walking this package."""
