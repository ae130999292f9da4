"""The page on which people read what came in."""

from email.message import EmailMessage

import aiosmtplib
import httpx2

OWNER = "ada@shop.example"


async def test_page_shows_mails_as_text(client: httpx2.AsyncClient, smtp_port: int) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "notices@replyco.example", OWNER, "Hallo"
    mail.set_content("<script>x</script>")
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=smtp_port, start_tls=False)

    shown = (await client.get("/inbox", headers={"accept-language": "de"})).text

    assert "&lt;script&gt;x&lt;/script&gt;" in shown
    assert OWNER in shown
