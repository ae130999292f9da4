"""What an authenticator app takes to show our codes: the key, as text and as a picture to be scanned."""

import io
from base64 import b32encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

import segno

from shared.crypto.totp import DIGITS, STEP_SECONDS

_ISSUER: Final = "Replyco"


@dataclass(frozen=True, slots=True)
class AppKey:
    """`text` is typed by those who cannot scan `picture`, an SVG of `uri`."""

    text: str = field(repr=False)
    uri: str = field(repr=False)
    picture: str = field(repr=False)


def app_key(secret: bytes, email: str) -> AppKey:
    """The key of an app, in the form that apps have agreed on (`otpauth://totp/…`)."""
    text = b32encode(secret).decode().rstrip("=")
    parameters = urlencode(
        {
            "secret": text,
            "issuer": _ISSUER,
            "algorithm": "SHA1",
            "digits": DIGITS,
            "period": STEP_SECONDS,
        }
    )
    uri = f"otpauth://totp/{quote(f'{_ISSUER}:{email}')}?{parameters}"
    picture = io.BytesIO()
    # A quiet zone of four modules on white, whatever the page's colours: else a dark page cannot be scanned.
    segno.make(uri, error="m", micro=False).save(
        picture, kind="svg", scale=4, border=4, light="#fff", xmldecl=False, omitsize=True
    )
    return AppKey(text, uri, picture.getvalue().decode())
