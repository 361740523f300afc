PAGES = []


def step():
    for number in range(5):
        PAGES.append(f"{number}" * 200_000)
