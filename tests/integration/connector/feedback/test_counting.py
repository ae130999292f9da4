"""Whether pages helped: counted for whoever answers, and shown to operators."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from deploy.demo.postgres import CONNECTOR
from services.connector.web import texts
from shared.tables import HelpPage, PageFeedback
from tests.commands import run_here

PATH = "/api/v1/page-feedback"
PROBLEM_TEXTS = Path(texts.__file__).parent / "static" / "texts" / "en" / "connect_problem.json"


async def test_answers_of_strangers_and_users_are_counted_by_page_and_language(
    nobody, signed_in, sessions, database
):
    answers = [("guide", "de", True)] * 3 + [
        ("guide", "de", False),
        ("guide", "en", False),
        ("unknown", "de", True),
    ]
    clients = [nobody, signed_in.client]
    statuses = await asyncio.gather(
        *(
            clients[number % 2].post(PATH, json={"page": page, "language": language, "helpful": helpful})
            for number, (page, language, helpful) in enumerate(answers)
        )
    )

    assert {answer.status_code for answer in statuses} == {204}
    async with sessions() as session:
        counts = (await session.scalars(select(PageFeedback))).all()
    assert {(count.page, count.language): (count.helpful, count.not_helpful) for count in counts} == {
        ("guide", "de"): (3, 1),
        ("guide", "en"): (0, 1),
        ("unknown", "de"): (1, 0),
    }
    code, output = await run_here({"REPLYCO_DATABASE_URL": database.url(CONNECTOR)}, "feedback")
    assert code == 0
    assert [line.split("\t")[1:] for line in output.splitlines()[1:]] == [
        ["guide", "en", "0", "1"],
        ["guide", "de", "3", "1"],
        ["unknown", "de", "1", "0"],
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": "no-such-page"},
        {"language": "fr"},
        {"helpful": "perhaps"},
        {"helpful": None},
        {"comment": "x"},
    ],
    ids=str,
)
async def test_what_is_no_answer_is_refused_and_counted_nowhere(nobody, sessions, wrong):
    answer = await nobody.post(PATH, json={"page": "guide", "language": "de", "helpful": True} | wrong)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    async with sessions() as session:
        assert (await session.scalars(select(PageFeedback))).all() == []


async def test_one_network_answers_twenty_times_and_no_more(nobody, sessions):
    body = {"page": "guide", "language": "de", "helpful": True}
    answers = [await nobody.post(PATH, json=body) for _ in range(21)]

    assert [answer.status_code for answer in answers] == [204] * 20 + [429]
    assert answers[-1].json()["code"] == "too_often"
    assert int(answers[-1].headers["Retry-After"]) > 0
    async with sessions() as session:
        assert [count.helpful for count in await session.scalars(select(PageFeedback))] == [20]


async def test_answers_are_a_metric_by_page(app, nobody):
    def counted(page: str, helpful: str) -> float | None:
        labels = {"page": page, "helpful": helpful}
        value: float | None = app.state.connector.registry.get_sample_value(
            "replyco_page_answers_total", labels
        )
        return value

    for helpful in (True, False, False):
        await nobody.post(PATH, json={"page": "other_browser", "language": "en", "helpful": helpful})

    assert counted("other_browser", "yes") == 1
    assert counted("other_browser", "no") == 2
    assert counted("guide", "yes") == 0


def test_every_problem_of_connecting_that_is_told_on_a_page_can_be_answered():
    told = {key.split(".")[1] for key in json.loads(PROBLEM_TEXTS.read_text()) if key.endswith(".title")}

    assert told | {"guide"} == set(HelpPage)
