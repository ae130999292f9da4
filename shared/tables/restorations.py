"""That this database was restored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from shared.driver import new_id
from shared.tables.base import Base, now


class Restoration(Base):
    """The database was brought back to a point in time (`python -m migrations restored`). Until `ends_at` nobody knows what happened since."""

    __tablename__ = "restorations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    restored_at: Mapped[datetime] = mapped_column(server_default=now)
    ends_at: Mapped[datetime]
