"""Starts the real parts of the platform as processes on this machine: PostgreSQL, Redis and the services."""
