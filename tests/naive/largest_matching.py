"""Largest matchings by one alternating path after the other, and what no such path reaches."""


def largest_matching(rows):
    """Row of each matched column; `rows` lists the columns of each row."""
    row_of_column = {}

    def augmented(row, seen):
        for column in rows[row]:
            if column not in seen:
                seen.add(column)
                if column not in row_of_column or augmented(row_of_column[column], seen):
                    row_of_column[column] = row
                    return True
        return False

    for row in range(len(rows)):
        augmented(row, set())
    return row_of_column


def cut_off(rows, num_columns):
    """The rows from which no alternating path leads to a column that a largest matching leaves free."""
    row_of_column = largest_matching(rows)
    reached = set(range(num_columns)) - set(row_of_column)
    column_of_row = {row: column for column, row in row_of_column.items()}
    found, grew = set(), True
    while grew:
        new = {row for row in range(len(rows)) if row not in found and reached & set(rows[row])}
        reached |= {column_of_row[row] for row in new}
        found |= new
        grew = bool(new)
    return set(range(len(rows))) - found
