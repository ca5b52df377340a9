"""Customers, and what is theirs alone: contacts, consents, privacy."""
