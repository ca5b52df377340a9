"""Databases and what keeps them safe; knows no table of the CRM."""
