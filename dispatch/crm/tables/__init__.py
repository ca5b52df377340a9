"""The tables of the CRM, by what they are about; their columns are a format: see ``migrations``."""
