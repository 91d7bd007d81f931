"""Figures as text."""


def table(title, head, rows):
    """A table as text: the first column to the left, the others to the right."""
    cells = [head, *[[_cell(value) for value in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join([row[0].ljust(widths[0]), *[row[i].rjust(widths[i]) for i in range(1, len(head))]]) for row in cells]
    return "\n".join(["", title, "  " + lines[0], *["  " + line for line in lines[1:]]])


def _cell(value):
    if value is None:
        return "full"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value
