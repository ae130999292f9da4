"""The route by which the guide and the pages that tell a problem ask whether they helped."""

from fastapi import APIRouter

from services.connector.dependencies import Now, SessionsDep
from services.connector.feedback import service
from services.connector.feedback.schemas import FeedbackRequest

router = APIRouter(tags=["integrations"])


@router.post("/page-feedback", status_code=204, summary="Say whether a page helped")
async def give_feedback(body: FeedbackRequest, sessions: SessionsDep, now: Now) -> None:
    """It is counted by page, language and month; who answered is not kept. Nobody needs to be signed in: problems are told to strangers, too."""
    await service.count_answer(sessions, body.page, body.language, helpful=body.helpful, now=now)
