"""ID tokens: what is taken for one, and everything that is not."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from services.connector.single_sign_on.attempts import hash_of
from services.connector.single_sign_on.id_tokens import (
    IdTokenInvalid,
    KeyUnknown,
    read_id_token,
    read_keys,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ISSUER, CLIENT, NONCE = "https://id.company.example", "replyco", "n" * 43


@cache
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "rsa"})


@cache
def ec() -> ECKey:
    return ECKey.generate_key("P-256", parameters={"kid": "ec"})


def claims(**changes: Any) -> dict[str, Any]:
    seconds = int(NOW.timestamp())
    whole = {"iss": ISSUER, "sub": "1001", "aud": CLIENT, "iat": seconds, "exp": seconds + 60, "nonce": NONCE}
    return {name: value for name, value in (whole | changes).items() if value is not None}


def signed(key: Any, algorithm: str, said: dict[str, Any], **header: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid, **header}, said, key, algorithms=[algorithm])


def read(token: str, *keys: Any) -> Any:
    shown = read_keys({"keys": [key.as_dict(private=False) for key in keys or (rsa(), ec())]})
    return read_id_token(token, shown, issuer=ISSUER, client_id=CLIENT, nonce_hash=hash_of(NONCE), now=NOW)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token_says_who_somebody_is(algorithm: str):
    key = rsa() if algorithm == "RS256" else ec()

    token = read(signed(key, algorithm, claims(auth_time=int(NOW.timestamp()) - 5, email="a@b.example")))

    assert (token.issuer, token.subject) == (ISSUER, "1001")
    assert token.authenticated_at == NOW - timedelta(seconds=5)
    assert token.claims["email"] == "a@b.example"


@pytest.mark.parametrize("audience", [CLIENT, [CLIENT], [CLIENT, "other"]])
def test_the_audience_may_be_a_list_that_says_whose_it_is(audience: Any):
    party = CLIENT if isinstance(audience, list) and len(audience) > 1 else None

    assert read(signed(rsa(), "RS256", claims(aud=audience, azp=party))).subject == "1001"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://id.company.example/"}, "iss"),
        ({"iss": None}, "iss"),
        ({"iss": [ISSUER]}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT, "other"]}, "azp"),
        ({"azp": "other"}, "azp"),
        ({"azp": 5}, "azp"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 1001}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "Jörg"}, "sub"),
        ({"exp": int(NOW.timestamp()) - 61}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": int(NOW.timestamp()) + 61}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": int(NOW.timestamp()) + 61}, "nbf"),
        ({"nonce": "m" * 43}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": [NONCE]}, "nonce"),
    ],
)
def test_a_claim_that_is_wrong_is_named(changes: dict[str, Any], reason: str):
    with pytest.raises(IdTokenInvalid) as refused:
        read(signed(rsa(), "RS256", claims(**changes)))

    assert refused.value.fields == {"reason": reason}


def test_clocks_may_differ_by_a_minute():
    seconds = int(NOW.timestamp())

    assert read(signed(rsa(), "RS256", claims(exp=seconds - 59, iat=seconds + 60)))


@pytest.mark.parametrize("algorithm", ["HS256", "RS512", "PS256"])
def test_other_algorithms_are_none_of_ours(algorithm: str):
    key = OctKey.import_key("x" * 64, {"kid": "rsa"}) if algorithm == "HS256" else rsa()

    with pytest.raises(IdTokenInvalid) as refused:
        read(signed(key, algorithm, claims()))

    assert refused.value.fields == {"reason": "algorithm"}


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b.c", "é.é.é", "a" * 70_000, "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJSUzI1NiJ9." + "W" * 60_000 + ".AAAA",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(token: str):
    with pytest.raises((IdTokenInvalid, KeyUnknown)):
        read(token)


def test_half_a_character_is_no_client():
    """Written as an escape in JSON, where it is allowed."""
    said = json.dumps(claims(azp="\ud800")).encode()
    token = jws.serialize_compact({"alg": "RS256", "kid": "rsa"}, said, rsa(), algorithms=["RS256"])

    with pytest.raises(IdTokenInvalid) as refused:
        read(token)

    assert refused.value.fields == {"reason": "azp"}


@pytest.mark.parametrize("header", [{"typ": "logout+jwt"}, {"typ": "at+jwt"}])
def test_other_kinds_of_tokens_are_no_id_tokens(header: dict[str, Any]):
    with pytest.raises(IdTokenInvalid) as refused:
        read(signed(rsa(), "RS256", claims(), **header))

    assert refused.value.fields == {"reason": "type"}


def test_a_key_fits_by_its_name_and_its_kind():
    stranger = ECKey.generate_key("P-256", parameters={"kid": "new"})
    same_name = RSAKey.generate_key(2048, parameters={"kid": "ec"})

    with pytest.raises(KeyUnknown):
        read(signed(stranger, "ES256", claims()))
    with pytest.raises(KeyUnknown):
        read(signed(same_name, "RS256", claims()))
    forged = ECKey.generate_key("P-256", parameters={"kid": "ec"})
    with pytest.raises(IdTokenInvalid) as refused:
        read(signed(forged, "ES256", claims()))
    assert refused.value.fields == {"reason": "signature"}


def test_without_a_name_there_is_one_key():
    nameless = jwt.encode({"alg": "ES256"}, claims(), ec(), algorithms=["ES256"])

    assert read(nameless).subject == "1001"
    with pytest.raises(KeyUnknown):
        read(nameless, ec(), ECKey.generate_key("P-256", parameters={"kid": "second"}))


def test_keys_that_are_not_for_this_are_passed_over():
    good = rsa().as_dict(private=False)
    entries: list[Any] = [
        {**good, "use": "enc"},
        {**good, "alg": "RSA-OAEP"},
        {**good, "n": "AQAB"},
        {**good, "n": good["n"] * 5},
        {**good, "n": 5},
        {"kty": "RSA"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
        "text",
        None,
    ]

    assert read_keys({"keys": entries}) == []
    assert [key.kid for key in read_keys({"keys": [*entries, good]})] == ["rsa"]
    assert len(read_keys({"keys": [good] * 200})) == 50
    assert read_keys({"keys": "text"}) == read_keys({}) == []


def test_a_private_key_that_is_shown_is_not_held():
    (key,) = read_keys({"keys": [rsa().as_dict(private=True)]})

    assert key.is_private is False


@pytest.mark.parametrize("value", [True, "yesterday", 1e300, float("nan"), None, [1]])
def test_a_time_that_is_none_is_not_believed(value: Any):
    token = signed(ec(), "ES256", claims(auth_time=value))

    assert read(token).authenticated_at is None


def test_nobody_has_proved_anything_in_the_future():
    token = signed(ec(), "ES256", claims(auth_time=int(NOW.timestamp()) + 3600))

    assert read(token).authenticated_at == NOW
