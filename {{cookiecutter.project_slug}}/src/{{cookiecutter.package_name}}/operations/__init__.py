"""Running it: the demo, and the sample that plays the upstream team."""
