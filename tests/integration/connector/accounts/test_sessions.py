"""Signing in, staying signed in, signing out."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import select, update

from services.connector.accounts.callers import NotSignedIn
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.service import caller_of_session
from services.connector.dependencies import SESSION_COOKIE
from shared.database import Sessions
from shared.tables import AuditEntry, User, UserSession
from tests.integration.connector.conftest import PASSWORD, SignedIn


async def _sign_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> httpx2.Response:
    return await client.post("/api/v1/sessions", json={"email": email, "password": password})


async def test_signing_in_sets_a_host_cookie_and_tells_who_one_is(signed_in: SignedIn, nobody):
    answer = await _sign_in(nobody, f"  {signed_in.user.email.upper()} ")

    assert answer.status_code == 201, answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    body = answer.json()
    assert body["account"]["id"] == str(signed_in.account.id)
    assert body["permissions"] == {"general.admin": "edit", "inbox.messages": "edit"}
    assert (await nobody.get("/api/v1/me")).json() == body
