PAGES = {}


def step():
    # a cache of pages that are asked for at random: ever fewer of them are new
    for number in range(9_000 >> len(ROUNDS)):
        PAGES[len(PAGES)] = f"page {number}" * 5
    ROUNDS.append(len(PAGES))


ROUNDS = []
