"""What is asked of the Reports API, and how a document is read out of Amazon's store, or not."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.connector.amazon.client import SellerApi
from services.connector.amazon.documents import Documents, OpenDocument, is_of_a_store
from services.connector.amazon.errors import (
    AmazonUnavailable,
    DocumentElsewhere,
    DocumentExpired,
    DocumentTooLarge,
    ReportUnknown,
    RestrictedRoleMissing,
    RoleMissing,
)
from services.connector.amazon.pausing import NeverPaused
from services.connector.amazon.reports import (
    RESTRICTED_TYPES,
    ReportDocument,
    ReportStatus,
    create_report,
    get_report,
    get_report_document,
    get_reports,
    open_document,
)
from tests.integration.connector.connecting import http_answer
from tests.no_tls import NO_AUTHORITIES
from tests.unit.connector.amazon.test_orders import Server, always, seller_of

SINCE = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
ALL_ORDERS = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
SHIPPING = "GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING"
STORE = "tortuga-prod-eu.s3.eu-west-1.amazonaws.com"
DOCUMENT_ID = "amzn1.spdoc.1.4.eu.abc-1"
REPORT = {
    "reportId": "54517018502",
    "reportType": ALL_ORDERS,
    "processingStatus": "DONE",
    "createdTime": "2026-11-20T08:30:00+00:00",
    "reportDocumentId": DOCUMENT_ID,
}
NOTHING = b""


def store_answer(content: bytes, *headers: str, length: int | None = None, status: int = 200) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content) if length is None else length}", *headers]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + content


async def read(
    api: SellerApi, address: str, *, compression: str | None = None, most_bytes: int = 1_000_000
) -> tuple[bytes, str | None, bool]:
    document = ReportDocument.model_validate(
        {"reportDocumentId": DOCUMENT_ID, "url": address, "compressionAlgorithm": compression}
    )
    async with open_document(api, document, most_bytes=most_bytes, seconds=10) as opened:
        return await read_all(opened), opened.content_type, opened.is_gzip


async def read_all(opened: OpenDocument) -> bytes:
    return b"".join([chunk async for chunk in opened.chunks()])


def in_store(api: SellerApi) -> str:
    """A document's address in the store that the sandbox plays."""
    base = api.client.documents._amazon_base_url
    return f"{base}/{STORE}/{DOCUMENT_ID}?X-Amz-Signature=canary"


async def test_a_report_is_asked_for_once_even_if_nothing_comes_back():
    seen: list[bytes] = []

    async def break_off(request: bytes) -> None:
        seen.append(request)

    async with seller_of(break_off) as api:
        with pytest.raises(AmazonUnavailable):
            await create_report(api, ALL_ORDERS, marketplace_ids=["A1PA6795UKMFR9"], data_from=SINCE)

    [request] = seen
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {
        "reportType": ALL_ORDERS,
        "marketplaceIds": ["A1PA6795UKMFR9"],
        "dataStartTime": "2026-11-20T08:30:00Z",
    }


async def test_the_new_reports_id_is_told():
    async with seller_of(always(202, '{"reportId": "ID323"}')) as api:
        assert await create_report(api, ALL_ORDERS, marketplace_ids=["A1PA6795UKMFR9"]) == "ID323"
        assert api.answered == {"createReport"}


@pytest.mark.parametrize(
    ("report_type", "failure"), [(SHIPPING, RestrictedRoleMissing), (ALL_ORDERS, RoleMissing)]
)
async def test_a_report_with_addresses_that_is_refused_says_nothing_of_the_store(
    report_type: str, failure: type[Exception]
):
    async with seller_of(always(403, '{"errors": [{"code": "Unauthorized", "message": "denied"}]}')) as api:
        with pytest.raises(failure):
            await create_report(api, report_type, marketplace_ids=["A1PA6795UKMFR9"])


async def test_a_report_is_read_with_what_amazon_has_added_since():
    async with seller_of(always(200, json.dumps({**REPORT, "new": {"x": 1}}))) as api:
        report = await get_report(api, "54517018502")

    assert (report.status, report.document_id) == (ReportStatus.DONE, DOCUMENT_ID)
    assert (report.created_at, report.data_from) == (SINCE, None)


@pytest.mark.parametrize(
    "change",
    [
        {"processingStatus": "ODD"},
        {"createdTime": "soon"},
        {"createdTime": "2026-11-20T08:30:00"},
        {"reportId": ""},
        {"reportId": "a\x00b"},
        {"reportDocumentId": "\ud800"},
        {"reportDocumentId": "../../orders"},
    ],
    ids=repr,
)
async def test_a_report_of_another_form_is_no_report_and_hides_no_other(change: dict[str, str]):
    odd = {**REPORT, **change}
    async with seller_of(always(200, json.dumps(odd))) as api:
        with pytest.raises(AmazonUnavailable):
            await get_report(api, "54517018502")
    async with seller_of(always(200, json.dumps({"reports": [odd, REPORT]}))) as api:
        [report] = await get_reports(api, [ALL_ORDERS], created_since=SINCE)

    assert report.report_id == "54517018502"


async def test_reports_are_searched_by_type_status_and_time():
    server = always(200, '{"reports": []}')
    async with seller_of(server) as api:
        await get_reports(
            api,
            [SHIPPING, ALL_ORDERS],
            created_since=SINCE,
            marketplace_ids=["A1PA6795UKMFR9"],
            statuses=[ReportStatus.IN_QUEUE, ReportStatus.DONE],
        )

    assert server.questions == [
        {
            "reportTypes": f"{ALL_ORDERS},{SHIPPING}",
            "marketplaceIds": "A1PA6795UKMFR9",
            "processingStatuses": "DONE,IN_QUEUE",
            "createdSince": "2026-11-20T08:30:00Z",
            "pageSize": "100",
        }
    ]


@pytest.mark.parametrize("amazons_id", ["", "../x", "a/b", "a?b", "..", "a..b", "x" * 201, "a b", "é"])
async def test_nothing_but_an_id_gets_into_an_address(amazons_id: str):
    server = always(200, "{}")
    async with seller_of(server) as api:
        for ask in (get_report(api, amazons_id), get_report_document(api, amazons_id, is_restricted=True)):
            with pytest.raises(ValueError, match="no id"):
                await ask

    assert server.targets == []


async def test_a_report_that_is_gone_is_an_answer_of_its_own():
    async with seller_of(always(404, '{"errors": [{"code": "NotFound", "message": ""}]}')) as api:
        with pytest.raises(ReportUnknown):
            await get_report(api, "54517018502")
        with pytest.raises(ReportUnknown):
            await get_report_document(api, DOCUMENT_ID, is_restricted=False)


async def test_a_document_with_addresses_is_asked_for_with_a_token_for_exactly_it():
    requests: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        requests.append(request)
        if b"/restrictedDataToken" in request:
            return http_answer(200, '{"restrictedDataToken": "Atz.sprdt|canary", "expiresIn": 3600}')
        return http_answer(
            200, json.dumps({"reportDocumentId": DOCUMENT_ID, "url": "https://x.example/canary"})
        )

    async with seller_of(answer) as api:
        document = await get_report_document(api, DOCUMENT_ID, is_restricted=True)

    token, document_request = requests
    assert json.loads(token.partition(b"\r\n\r\n")[2]) == {
        "restrictedResources": [{"method": "GET", "path": f"/reports/2021-06-30/documents/{DOCUMENT_ID}"}]
    }
    assert b"x-amz-access-token: Atz.sprdt|canary\r\n" in document_request
    assert "canary" not in repr(document)


async def test_without_the_role_for_addresses_nothing_is_said_of_the_store():
    refusal = '{"errors": [{"code": "InvalidInput", "message": "Application does not have access to some"}]}'
    async with seller_of(always(400, refusal)) as api:
        with pytest.raises(RestrictedRoleMissing):
            await get_report_document(api, DOCUMENT_ID, is_restricted=True)


def test_only_reports_with_addresses_need_a_restricted_data_token():
    assert SHIPPING in RESTRICTED_TYPES
    assert ALL_ORDERS not in RESTRICTED_TYPES


# --- the store ------------------------------------------------------------------------------------------------------


async def test_a_document_is_read_as_it_lies_there_without_a_header_of_the_sp_api():
    seen: list[bytes] = []

    async def answer(request: bytes) -> bytes:
        seen.append(request)
        return store_answer(b"\x1f\x8b packed", "Content-Type: text/plain; charset=Cp1252")

    async with seller_of(answer) as api:
        content, content_type, is_gzip = await read(api, in_store(api), compression="GZIP")

    assert (content, content_type, is_gzip) == (b"\x1f\x8b packed", "text/plain; charset=Cp1252", True)
    head = seen[0].decode().lower()
    assert "x-amz-access-token" not in head
    assert "accept-encoding: identity\r\n" in head
    assert "user-agent: replyco/" in head


async def test_a_store_that_packs_for_the_way_is_not_unpacked_here_either():
    async def answer(_request: bytes) -> bytes:
        return store_answer(b"\x1f\x8b packed", "Content-Encoding: gzip")

    async with seller_of(answer) as api:
        assert await read(api, in_store(api)) == (b"\x1f\x8b packed", None, True)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (store_answer(b"<Error/>", status=403), DocumentExpired),
        (store_answer(NOTHING, status=404), DocumentExpired),
        (store_answer(NOTHING, "Location: http://169.254.169.254/", status=302), DocumentElsewhere),
        (store_answer(NOTHING, "Location: https://x.example/", status=307), DocumentElsewhere),
        (store_answer(NOTHING, status=500), AmazonUnavailable),
        (store_answer(NOTHING, status=206), AmazonUnavailable),
        (store_answer(b"half of it", length=1_000), AmazonUnavailable),
        (store_answer(NOTHING, length=4 * 1024**3), DocumentTooLarge),
        (store_answer(b"x" * 1_000_001), DocumentTooLarge),
        (b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + b"x" * 1_000_001, DocumentTooLarge),
        (NOTHING, AmazonUnavailable),
    ],
    ids=[
        "ended",
        "gone",
        "redirect to the inside",
        "redirect",
        "trouble",
        "a part",
        "cut off",
        "too large as it says",
        "too large",
        "too large without saying so",
        "nothing",
    ],
)
async def test_what_is_not_the_whole_document_is_an_error_that_names_no_address(
    answer: bytes, failure: type[Exception]
):
    async def serve(_request: bytes) -> bytes:
        return answer

    with capture_logs() as logs:
        async with seller_of(serve) as api:
            with pytest.raises(failure) as raised:
                await read(api, in_store(api))

    assert type(raised.value) is failure
    assert "canary" not in f"{raised.value!r} {raised.value.__cause__!r} {vars(raised.value)} {logs}"


async def test_a_store_that_drips_is_given_up_however_often_it_says_something():
    sent = 0

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 X\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            sent += 1
            await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    documents = Documents(
        amazon_base_url=base, tls=NO_AUTHORITIES, user_agent="Replyco/1", switch=NeverPaused()
    )
    url = SecretStr(f"{base}/{STORE}/{DOCUMENT_ID}")
    async with server, documents.open(url, is_gzip=False, most_bytes=1_000, seconds=1) as opened:
        with pytest.raises(AmazonUnavailable) as raised:
            await read_all(opened)
    await documents.close()

    assert raised.value.fields["reason"] == "TimeoutError"
    assert sent > 2


async def test_what_the_reader_does_with_a_chunk_takes_none_of_the_stores_time():
    async def answer(_request: bytes) -> bytes:
        return store_answer(b"x" * 200_000)

    async with seller_of(answer) as api:
        document = ReportDocument(reportDocumentId=DOCUMENT_ID, url=SecretStr(in_store(api)))
        async with open_document(api, document, most_bytes=1_000_000, seconds=1) as opened:
            length = 0
            async for chunk in opened.chunks():
                length += len(chunk)
                await asyncio.sleep(0.4)

    assert length == 200_000


@pytest.mark.parametrize(
    "host",
    [
        "tortuga-prod-eu.s3.eu-west-1.amazonaws.com",
        "tortuga-prod-eu.s3-eu-west-1.amazonaws.com",
        "tortuga-prod-na.s3-external-1.amazonaws.com",
        "tortuga-prod-na.s3.amazonaws.com",
        "tortuga-prod-fe.s3.dualstack.us-west-2.amazonaws.com",
        "s3.amazonaws.com",
        "s3.us-west-2.amazonaws.com",
        "d34o8swod1owfl.cloudfront.net",
    ],
)
def test_the_stores_of_amazon_are_known(host: str):
    assert is_of_a_store(f"https://{host}/a%2Fb?X-Amz-Signature=x", None)


@pytest.mark.parametrize(
    "url",
    [
        f"http://{STORE}/x",
        f"https://{STORE}.evil.example/x",
        f"https://{STORE}@evil.example/x",
        f"https://user@{STORE}/x",
        f"https://{STORE}:8443/x",
        f"https://{STORE}/x#y",
        f"https://evil.example\\@{STORE}/x",
        f"https://{STORE}\n.evil.example/x",
        f" https://{STORE}/x",
        f"https://evil.example/{STORE}/x",
        "https://amazonaws.com/x",
        "https://ec2-1-2-3-4.compute-1.amazonaws.com/x",
        "https://abc.execute-api.eu-west-1.amazonaws.com/x",
        "https://s3.evil.amazonaws.com.evil.example/x",
        "https://my-s3.eu-west-1.amazonaws.com/x",
        "https://a.b.cloudfront.net/x",
        "https://169.254.169.254/x",
        "https://[::1]/x",
        "https://[/x",
        "file:///etc/passwd",
        "",
        "http://127.0.0.1:8090/s3.amazonaws.com/x",
    ],
)
def test_no_other_address_is_one_of_a_store(url: str):
    assert not is_of_a_store(url, None)


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        (f"http://127.0.0.1:8090/{STORE}/x", True),
        (f"http://127.0.0.1:8090/{STORE}?x", False),
        ("http://127.0.0.1:8090/control/sellers", False),
        (f"http://127.0.0.1:8090.evil.example/{STORE}/x", False),
        (f"http://127.0.0.1:8091/{STORE}/x", False),
        (f"https://{STORE}/x", False),
    ],
)
def test_with_a_sandbox_the_stores_are_the_sandboxs_alone(url: str, is_ours: bool):
    assert is_of_a_store(url, "http://127.0.0.1:8090/") is is_ours


async def test_an_address_elsewhere_is_never_asked():
    server = Server(lambda _question: store_answer(b"x"))

    async with seller_of(server) as api:
        base = api.client.documents._amazon_base_url
        for address in (f"{base}/control/x", "https://evil.example/x", f"https://{STORE}/x"):
            with pytest.raises(DocumentElsewhere):
                await read(api, address)

    assert server.targets == []


async def test_a_presigned_address_is_sent_as_amazon_has_signed_it():
    server = Server(lambda _question: store_answer(b"x"))
    query = (
        "X-Amz-Credential=AKIA%2F20261120%2Feu-west-1%2Fs3&X-Amz-SignedHeaders=host&X-Amz-Signature=a%2Bb%3D"
    )

    async with seller_of(server) as api:
        await read(api, f"{api.client.documents._amazon_base_url}/{STORE}/%2FNinetyDays/a.b?{query}")

    assert server.targets == [f"/{STORE}/%2FNinetyDays/a.b?{query}"]
