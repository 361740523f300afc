"""People told of an incident: whom, in which order, by which channel, and whether they answered."""
