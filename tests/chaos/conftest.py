"""Chaos tests break the running local platform on purpose."""
