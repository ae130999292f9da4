"""What goes over the wire about pages that helped."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from services.connector.http.language import Language
from shared.tables import HelpPage


class FeedbackRequest(BaseModel):
    """The answer to "Was this article helpful?"."""

    model_config = ConfigDict(extra="forbid")

    page: HelpPage = Field(description="the page that was read; all that ask are listed")
    language: Language = Field(description="in which it was read")
    helpful: StrictBool
