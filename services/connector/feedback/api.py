"""The route by which the guide and the pages that tell a problem ask whether they helped."""

from fastapi import Request

from services.connector.dependencies import Now, PageAnswersDep, browser_of
from services.connector.feedback.schemas import FeedbackRequest
from services.connector.http.routers import api_router

router = api_router("integrations")


@router.post("/page-feedback", status_code=204, summary="Say whether a page helped")
async def give_page_feedback(
    body: FeedbackRequest, request: Request, page_answers: PageAnswersDep, now: Now
) -> None:
    """It is counted by page, language and month; who answered is not kept. Nobody needs to be signed in: problems are told to strangers, too.
    A network may answer twenty times in ten minutes.
    """
    client_address = browser_of(request).client_address
    await page_answers.count(
        body.page, body.language, helpful=body.helpful, client_address=client_address, now=now
    )
