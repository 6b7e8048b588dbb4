"""TravelBlog's data, by a seed: the same seed, size and end give the same rows, byte for byte.

Invariants that a check can hold it to: a row's tenant is that of what it refers to, a booking costs its nights times
its place's price, ids run from 1 without a gap, and the newest booking is as old as the data's end.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

FOLDER = Path(__file__).parent
SCHEMA = (FOLDER / "schema.sql").read_text()
CONSTRAINTS = (FOLDER / "constraints.sql").read_text()
#: The columns of each table, in the order of its lines; a table stands after those that it refers to.
COLUMNS = {
    "authors": "id, tenant, name, email, joined_at",
    "places": "id, tenant, name, country, latitude, longitude, night_cents",
    "posts": "id, tenant, author_id, place_id, title, body, status, published_at",
    "media": "id, tenant, post_id, key, content_type, size_bytes",
    "bookings": "id, tenant, place_id, guest, nights, total_cents, status, booked_at",
}
#: Of a thousand rows, so many are in each table.
SHARES = {"authors": 20, "places": 20, "posts": 160, "media": 200, "bookings": 600}
TENANTS = ("lisboa", "kyoto", "zürich", "łódź", "reykjavík", "são-paulo", "marrakech", "oslo", "hanoi", "cusco")
COUNTRIES = ("PT", "JP", "CH", "PL", "IS", "BR", "MA", "NO", "VN", "PE")
FIRST_NAMES = ("Zoë", "José", "Ada", "Łukasz", "Søren", "Mireille", "Ngọc", "Björk", "Amina", "Kenji", "Ines", "Tom")
LAST_NAMES = ("Müller", "Gonçalves", "Nowak", "Sæther", "Tanaka", "Quispe", "Ait Ali", "Jónsdóttir", "Nguyễn", "Weiß")
THINGS = ("harbour", "café", "old town", "market", "garden", "bridge", "museum", "beach", "station", "rooftop")
WORDS = ("slowly", "by night", "in the rain", "with children", "on foot", "for nothing", "out of season", "again")
BODY = "We came late and stayed longer than we had planned; the {thing} was worth every minute of it. "
DAYS = 730
CHUNK_ROWS = 5000

Line = Callable[[int], str]


def count_rows(rows: int) -> dict[str, int]:
    """About so many rows in all, at least ten in each table, by table."""
    return {table: max(10, rows * share // 1000) for table, share in SHARES.items()}


def generate_rows(rows: int, seed: int, until: datetime) -> Iterator[tuple[str, Iterator[str]]]:
    """Each table with its lines in the text format of COPY, a few thousand at a time."""
    counts = count_rows(rows)
    prices: list[int] = []
    days = [f"{until - timedelta(days=DAYS - day):%Y-%m-%d}" for day in range(DAYS + 1)]
    for number, table in enumerate(COLUMNS):
        draw = Random(f"{seed}-{table}").random  # noqa: S311 - example data, to be the same each time
        line = _LINES[number](draw, counts, prices, days, until)
        yield table, _chunk(line, counts[table])


def _chunk(line: Line, count: int) -> Iterator[str]:
    for start in range(1, count + 1, CHUNK_ROWS):
        yield "".join([line(number) for number in range(start, min(start + CHUNK_ROWS, count + 1))])


def _tenant(number: int) -> int:
    """Of whatever has that number: so two rows are of one tenant where their numbers are equal modulo ten."""
    return number % len(TENANTS)


def _same_tenant(draw: Callable[[], float], number: int, count: int) -> int:
    """A number from 1 to `count` of the same tenant; a table has at least ten rows, so there is one."""
    rest = number % len(TENANTS) or len(TENANTS)
    return rest + len(TENANTS) * int(draw() * ((count - rest) // len(TENANTS) + 1))


def _authors(draw: Callable[[], float], _: dict[str, int], __: list[int], days: list[str], ___: datetime) -> Line:
    def line(number: int) -> str:
        first, last = FIRST_NAMES[int(draw() * len(FIRST_NAMES))], LAST_NAMES[int(draw() * len(LAST_NAMES))]
        day = days[int(draw() * DAYS)]
        tenant = TENANTS[_tenant(number)]
        return f"{number}\t{tenant}\t{first} {last}\tauthor{number}@example.com\t{day} 08:00:00+00\n"

    return line


def _places(draw: Callable[[], float], _: dict[str, int], prices: list[int], __: list[str], ___: datetime) -> Line:
    def line(number: int) -> str:
        prices.append(cents := 2000 + 100 * int(draw() * 300))
        tenant = _tenant(number)
        at = f"{draw() * 180 - 90:.5f}\t{draw() * 360 - 180:.5f}"
        name = f"{THINGS[int(draw() * len(THINGS))]} no. {number}"
        return f"{number}\t{TENANTS[tenant]}\t{name}\t{COUNTRIES[tenant]}\t{at}\t{cents}\n"

    return line


def _posts(draw: Callable[[], float], counts: dict[str, int], _: list[int], days: list[str], __: datetime) -> Line:
    authors, places = counts["authors"], counts["places"]

    def line(number: int) -> str:
        thing = THINGS[int(draw() * len(THINGS))]
        title = f"The {thing} {WORDS[int(draw() * len(WORDS))]}"
        author, place = _same_tenant(draw, number, authors), _same_tenant(draw, number, places)
        is_draft = draw() < 0.1
        state = "draft\t\\N" if is_draft else f"published\t{days[int(draw() * DAYS)]} 12:00:00+00"
        body = BODY.format(thing=thing)
        return f"{number}\t{TENANTS[_tenant(number)]}\t{author}\t{place}\t{title}\t{body}\t{state}\n"

    return line


def _media(draw: Callable[[], float], counts: dict[str, int], _: list[int], __: list[str], ___: datetime) -> Line:
    posts = counts["posts"]

    def line(number: int) -> str:
        tenant, post = TENANTS[_tenant(number)], _same_tenant(draw, number, posts)
        kind, end = ("video/mp4", "mp4") if draw() < 0.1 else ("image/jpeg", "jpg")
        return f"{number}\t{tenant}\t{post}\t{tenant}/{post}/{number}.{end}\t{kind}\t{1000 + int(draw() * 4000000)}\n"

    return line


def _bookings(
    draw: Callable[[], float], counts: dict[str, int], prices: list[int], days: list[str], until: datetime
) -> Line:
    """They come in over the time of the data, the last one at its end."""
    places, count = counts["places"], counts["bookings"]
    newest = f"{until:%Y-%m-%d %H:%M:%S}+00"

    def line(number: int) -> str:
        place, nights = _same_tenant(draw, number, places), 1 + int(draw() * 14)
        chance = draw()
        status = "paid" if chance < 0.8 else "cancelled" if chance < 0.9 else "held"
        minute = int(draw() * 1440)
        at = (
            f"{days[number * DAYS // (count + 1)]} {minute // 60:02}:{minute % 60:02}:00+00"
            if number < count
            else newest
        )
        total = nights * prices[place - 1]
        tenant = TENANTS[_tenant(number)]
        return (
            f"{number}\t{tenant}\t{place}\tguest{int(draw() * count)}@example.org\t{nights}\t{total}\t{status}\t{at}\n"
        )

    return line


_LINES = (_authors, _places, _posts, _media, _bookings)
