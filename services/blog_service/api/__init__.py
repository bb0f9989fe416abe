"""The routes below `/blog/api`."""
