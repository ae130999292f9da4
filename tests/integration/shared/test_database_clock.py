"""A process's time is PostgreSQL's."""

from sqlalchemy import text

from shared.database import Sessions, create_engine, create_sessions, now_in
from tests.conftest import Database


async def test_time_is_asked_of_postgresql_and_counted_on(database: Database):
    engine = create_engine(database.url("replyco_connector"), application_name="tests", pool_size=1)
    sessions = create_sessions(engine)
    async with sessions.begin() as session:
        before = await now_in(session)

    first = await sessions.now()
    # The one connection is taken: whoever asks again soon needs none.
    async with sessions.begin() as session:
        second = await sessions.now()
        after = await now_in(session)

    assert before <= first <= second <= after
    await engine.dispose()


async def test_an_age_that_destroys_is_asked_for_each_time(sessions: Sessions):
    await sessions.now()
    async with sessions.begin() as session:
        before = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()

    assert await sessions.agreed_now() >= before
