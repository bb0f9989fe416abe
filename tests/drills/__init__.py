"""Drills break the running local platform on purpose and see who is told."""
