"""Accounts: who may log in, under which name and with which password. Owns the database schema `users`."""
