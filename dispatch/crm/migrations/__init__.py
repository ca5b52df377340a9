"""Alembic's revisions of the tables; each has copies of columns, as live definitions go on changing."""
