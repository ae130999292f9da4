"""The mails that tell administrators that their account was closed, or is open again. They address nobody by "du" or "Sie"."""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from typing import Final

from sqlalchemy import select
from typing_extensions import override

from services.connector.accounts.letters import Compose, RoomMails, letter, reader_of
from services.connector.http.language import Language
from shared.tables import Account, Notice, NoticeKind

_DE, _EN = Language.DE, Language.EN
# Subject and text.
_TEXTS: Final[dict[NoticeKind, dict[Language, tuple[str, str]]]] = {
    NoticeKind.ACCOUNT_CLOSED: {
        _DE: (
            "Das Konto „{account}“ bei Replyco ist geschlossen",
            ("das Konto „{account}“ wurde geschlossen ({at}). Niemand kann sich mehr anmelden, API-Schlüssel und Webhooks sind außer Kraft, alle Stores "
            "sind getrennt und die Zugangsdaten für Amazon gelöscht.\n\nAm {until} werden alle Daten endgültig gelöscht. Bis dahin kann der "
            "Betreiber das Konto wieder öffnen; Nachrichten von Käufern werden so lange noch angenommen und versiegelt aufbewahrt, aber niemandem gezeigt. "
            "Danach nehmen die Adressen nichts mehr an.\n\nDamit Käufer jemanden erreichen, bitte in Seller Central überall, wo die Adresse von Replyco "
            "steht, wieder die eigene eintragen.\n\nWar das Schließen nicht abgesprochen, bitte sofort beim Betreiber melden."),
        ),
        _EN: (
            "The account “{account}” at Replyco is closed",
            ("the account “{account}” was closed ({at}). Nobody can sign in any more, API keys and webhooks no longer work, all stores are disconnected, "
            "and the access to Amazon is deleted.\n\nOn {until}, all data will be erased for good. Until then the operator can reopen the account; "
            "until then, buyers' messages are still accepted and kept sealed, but shown to nobody. After that, the addresses no longer accept "
            "anything.\n\nSo that buyers can reach the company, please replace the Replyco address with its own wherever it is entered in "
            "Seller Central.\n\nIf this was not agreed, please tell the operator at once."),
        ),
    },
    NoticeKind.ACCOUNT_REOPENED: {
        _DE: (
            "Das Konto „{account}“ bei Replyco ist wieder offen",
            ("das Konto „{account}“ ist wieder offen. Benutzer, Berechtigungen, API-Schlüssel und Webhooks gelten wie vorher. Die Stores müssen "
            "wiederhergestellt und neu autorisiert werden; dann kommt auch an, was Käufer inzwischen geschrieben haben:\n{link}"),
        ),
        _EN: (
            "The account “{account}” at Replyco is open again",
            ("the account “{account}” is open again. Users, permissions, API keys and webhooks are as before. The stores have to be restored and "
            "authorized again; after that, what buyers have written in the meantime arrives as well:\n{link}"),
        ),
    },
}  # fmt: skip


class AccountMails(RoomMails):
    """That an account was closed, or is open again."""

    @override
    def composers(self) -> Mapping[NoticeKind, Compose]:
        return dict.fromkeys(_TEXTS, self._tell)

    async def _tell(self, notice: Notice, sender: str, now: datetime) -> EmailMessage | None:
        kind = NoticeKind(notice.kind)
        async with self._sessions.begin() as session:
            account = await session.scalar(select(Account).where(Account.id == notice.account_id))
        # What has changed since is told by a mail of its own.
        is_still_so = account is not None and (
            (account.closed_at is not None) is (kind is NoticeKind.ACCOUNT_CLOSED)
        )
        if account is None or not is_still_so or account.erased_at is not None:
            return None
        # The closing has disabled its readers.
        reader = await reader_of(
            self._sessions, notice.user_id, even_if_disabled=kind is NoticeKind.ACCOUNT_CLOSED
        )
        if reader is None:
            return None
        subject, body = (
            text.format(
                account=account.name,
                at=reader.moment(account.closed_at) if account.closed_at else "",
                until=reader.moment(account.erase_after) if account.erase_after else "",
                link=f"{self._public_url}/integrations",
            )
            for text in _TEXTS[kind][reader.language]
        )
        return letter(
            reader,
            subject,
            body,
            notice_id=notice.id,
            sender=sender,
            support_contact=self._support_contact,
            now=now,
        )
