"""The sentence that outranks every other goal, counted: each mail with a `250` is kept, its bytes unchanged, and shown once."""

from dataclasses import dataclass

from tests.conftest import Database, Keys
from tests.faults.mailrelay.load import Load, stored, visible
from tests.faults.mailrelay.worker import deliver_all


@dataclass(frozen=True, slots=True)
class Count:
    """Of one round; the last four have to be 0."""

    accepted: int
    stored: int
    visible: int
    missing: int
    twice: int
    changed: int
    refused: int

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.twice or self.changed or self.refused)


async def counted(database: Database, keys: Keys, *loads: Load) -> Count:
    """Deliver what is accepted, then compare with what the clients were told.

    More may be there than was answered 250: its 250 never reached the client. None of it may be shown twice.
    """
    await deliver_all(database, keys)
    in_database = await stored(database, keys)
    shown = await visible(database, keys)
    accepted = {mail for load in loads for mail in load.accepted.items()}
    offered = {mail for load in loads for mail in load.offered.items()}
    refusals = [code for load in loads for code in load.codes if code.split()[1].startswith("5")]
    return Count(
        accepted=len(accepted),
        stored=in_database.total(),
        visible=len(shown),
        missing=sum(not in_database[mail] or not shown[mail] for mail in accepted),
        twice=sum(count > 1 for count in shown.values()),
        changed=len((in_database.keys() | shown.keys()) - offered),
        # An honest client's mail is refused for ever by nothing that happens to us.
        refused=len(refusals),
    )


def assert_right(what: str, count: Count) -> None:
    print(f"{what}: {count}")  # noqa: T201  # the counts are what this is for
    assert count.accepted > 0
    assert count.is_right, count


async def assert_nothing_lost(what: str, database: Database, keys: Keys, *loads: Load) -> None:
    print(f"{what}: replies {[dict(sorted(load.codes.items())) for load in loads]}")  # noqa: T201  # as above
    assert_right(what, await counted(database, keys, *loads))
