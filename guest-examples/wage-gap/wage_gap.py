"""Route B: one block of people comes in, one number goes out: the Hodges–Lehmann
estimate of how much more men earn per hour than women, in dollars. It is the median of
all differences between a man's wage and a woman's (Hodges and Lehmann, 1963): one
mistyped wage hardly moves it, and SQL cannot say it without joining people with people.
"""

from statistics import median

from sluice import guest


@guest.table(dimensions={}, measures=["gap"])
def gap(room):
    # Cents per hour; 0 is for people who are not paid by the hour.
    cents = {"Male": [], "Female": []}
    for sex, wage in zip(room.rows.column("sex"), room.rows.column("wage_per_hour")):
        if sex in cents and wage:
            cents[sex].append(wage)
    if cents["Male"] and cents["Female"]:
        yield {"gap": median(man - woman for man in cents["Male"] for woman in cents["Female"]) / 100}
