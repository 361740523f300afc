OPEN = []


def rows():
    body = [f"row {number}" * 4 for number in range(20)]
    yield from body


def step():
    for _ in range(400):
        made = rows()
        next(made)
        OPEN.append(made)
