"""Which mails are believed to be Amazon's, and why the others are not."""

from services.mailrelay.authenticity.nameservers import NameServers
from shared.tables import Authenticity
from tests.integration.mailrelay.authenticity.conftest import MAIL, verdict_on
from tests.signing import signed


async def test_a_mail_that_amazon_has_signed_is_authentic(resolver: NameServers):
    verdict = await verdict_on(signed(MAIL), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.AUTHENTIC, "signed_by_amazon")


async def test_a_mail_that_nobody_has_signed_is_forged(resolver: NameServers):
    verdict = await verdict_on(MAIL, resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "not_signed")
