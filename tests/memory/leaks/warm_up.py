TABLE = {}


def step():
    if not TABLE:
        TABLE.update({number: f"entry {number}" * 8 for number in range(10_000)})
