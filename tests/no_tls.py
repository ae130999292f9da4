"""For clients of servers on this machine, which have no TLS: to read the certificate authorities takes longer than such a test."""

import ssl
from typing import Final

# It trusts nobody.
NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
