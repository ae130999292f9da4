"""What goes over the wire about the service as a whole."""

from datetime import datetime

from pydantic import BaseModel, Field


class StatusAnswer(BaseModel):
    """The state of the service, the same for everybody."""

    amazon_paused_since: datetime | None = Field(
        description="since when our operators have stopped all calls to Amazon; null while they go out. Mail still arrives and is answered"
    )
