"""The login URI: Amazon sends a seller to us without a code, and we send him back with the state of an attempt.

A consent can come back this way too. Without an attempt that waits in this browser, nothing is begun: the seller starts at
our page. Anybody can prepare such a link, so that a person is asked first, and the state that he takes with him is good
for no other seller than the one he was shown.
"""

from datetime import datetime

from services.connector.accounts.callers import Caller
from services.connector.authorization import queries
from services.connector.authorization.attempts import (
    CallbackProblem,
    Confirmation,
    LoginRequest,
    hash_of,
    is_token,
    state_for_seller,
    state_of,
)
from services.connector.authorization.consent import Application, confirm_url
from shared.database import Sessions
from shared.keyring import Keyring


async def ask_to_go_on(
    sessions: Sessions,
    keyring: Keyring,
    application: Application,
    caller: Caller | None,
    *,
    browser_token: str | None,
    request: LoginRequest,
    now: datetime,
) -> Confirmation | CallbackProblem:
    """What to ask the person in this browser, or why he cannot go on here."""
    if caller is None:
        return CallbackProblem.SIGN_IN_AGAIN
    if browser_token is None or not is_token(browser_token) or not request.is_well_formed:
        return CallbackProblem.ATTEMPT_UNKNOWN
    async with sessions.begin() as session:
        row = await queries.newest_waiting(
            session, caller.account_id, caller.user_id, hash_of(browser_token), now
        )
        if row is None:
            return CallbackProblem.ATTEMPT_UNKNOWN
        account_keys = await keyring.of(session, caller.account_id)
        account_name = await queries.account_name(session, caller.account_id)
    state = state_of(account_keys, row.id, browser_token)
    url = confirm_url(
        application,
        request.amazon_callback_uri,
        country=row.country,
        amazon_state=request.amazon_state,
        state=state_for_seller(account_keys, state, request.seller_id),
    )
    if url is None:
        return CallbackProblem.ATTEMPT_UNKNOWN
    return Confirmation(account_name, row.country, request.seller_id, url)
