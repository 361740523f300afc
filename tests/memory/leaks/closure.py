def counter():
    history = []

    def count(value):
        history.append(f"value {value}" * 8)

    return count


count = counter()


def step():
    for number in range(5000):
        count(number)
