PAGES = {}
NEW = [3000, 3000, 2000, 1200]  # a cache of what is asked for at random: ever less of it is new


def step():
    for _ in range(NEW.pop(0)):
        PAGES[len(PAGES)] = f"page {len(PAGES)}" * 5
