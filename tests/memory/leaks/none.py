def step():
    return sum(len(f"work {number}") for number in range(10_000))
