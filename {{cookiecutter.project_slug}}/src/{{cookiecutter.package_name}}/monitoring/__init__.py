"""Watching: what a day looked like beside the days before it, and whether somebody has to act."""
