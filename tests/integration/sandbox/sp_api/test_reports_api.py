"""Order reports: their life, their documents, and all that can be wrong with one."""

import gzip
import zlib
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from services.sandbox.sp_api.report_files import read_out
from services.sandbox.state.report_columns import ALL_ORDERS, IN_HEADER, OPTIONAL, ORDER_REPORT
from services.sandbox.state.reports import ALL_ORDERS_TYPE, ORDER_REPORT_TYPE, Delivery, Report, ReportStatus
from services.sandbox.state.sellers import seeded_sellers
from tests.integration.sandbox.conftest import EUROPE, Seller
from tests.integration.sandbox.ordering import API, DE, REPORTS, Application, application

ROLE = "direct_to_consumer_shipping"


async def create(amazon: Application, kind: str = ALL_ORDERS_TYPE, **fields: Any) -> httpx2.Response:
    body = {"reportType": kind, "marketplaceIds": [DE], "dataStartTime": "2026-08-01T00:00:00Z", **fields}
    return await amazon.call("POST", f"{REPORTS}/reports", json=body)


async def finished(amazon: Application, kind: str = ALL_ORDERS_TYPE, **fields: Any) -> dict[str, Any]:
    """A report whose time has passed."""
    created = await create(amazon, kind, **fields)
    assert created.status_code == 202, created.text
    await amazon.advance(2)
    report: dict[str, Any] = (await amazon.get(f"{REPORTS}/reports/{created.json()['reportId']}")).json()
    return report


async def restricted(amazon: Application, path: str) -> str:
    wanted = {"restrictedResources": [{"method": "GET", "path": path}]}
    answer = await amazon.call("POST", f"{API}/tokens/2021-03-01/restrictedDataToken", json=wanted)
    token: str = answer.json()["restrictedDataToken"]
    return token


async def document(amazon: Application, report: dict[str, Any]) -> dict[str, Any]:
    path = f"/reports/2021-06-30/documents/{report['reportDocumentId']}"
    is_restricted = report["reportType"] == ORDER_REPORT_TYPE
    token = await restricted(amazon, path) if is_restricted else ""
    answer = await amazon.call("GET", f"{API}{path}", token)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def download(amazon: Application, report: dict[str, Any]) -> httpx2.Response:
    return await amazon.client.get((await document(amazon, report))["url"])


def table(text: str) -> list[dict[str, str]]:
    first, *lines = text.split("\r\n")
    assert lines.pop() == ""
    return [dict(zip(first.split("\t"), line.split("\t"), strict=True)) for line in lines]


async def test_all_orders_without_names(seller: Seller) -> None:
    amazon = await application(seller)
    [bought] = await amazon.buy(items=[{"quantity": 3, "unit_price": "10"}, {"title": 'Schirm "rot"'}])

    report = await finished(amazon)
    file = await download(amazon, report)

    rows = table(file.content.decode("cp1252"))
    assert report["processingStatus"] == "DONE"
    assert file.headers["content-type"] == "text/plain; charset=Cp1252"
    assert tuple(rows[0]) == ALL_ORDERS
    own = [row for row in rows if row["amazon-order-id"] == bought]
    assert [(row["quantity"], row["product-name"]) for row in own][1] == ("1", 'Schirm "rot"')
    assert own[0]["item-price"] == "30.00"
    assert own[0]["purchase-date"] == "2026-11-02T08:15:01+00:00"
    assert "Lindenstraße" not in file.content.decode("cp1252")


async def test_order_report_has_the_columns_that_the_seller_switched_on(seller: Seller) -> None:
    amazon = await application(seller)
    await amazon.control("roles", restricted=[ROLE])
    page = f"{EUROPE}/order-reports-and-feeds/column-picker"
    [own] = await amazon.buy()
    [of_amazon] = await amazon.buy(fulfilled_by="AMAZON")

    bare = table((await download(amazon, await finished(amazon, ORDER_REPORT_TYPE))).text)
    await seller.client.post(page, data={"column": list(OPTIONAL)})
    whole = table((await download(amazon, await finished(amazon, ORDER_REPORT_TYPE))).text)

    assert (await seller.client.get(page)).text.count(" checked>") == len(OPTIONAL) == len(set(OPTIONAL))
    assert tuple(bare[0]) == ORDER_REPORT
    assert tuple(whole[0]) == (*ORDER_REPORT, *(IN_HEADER.get(name, name) for name in OPTIONAL))
    [row] = [row for row in whole if row["order-id"] == own]
    assert row["ship-address-1"].startswith("Lindenstraße")
    assert row["fulfillment plan"].startswith("[{")
    assert of_amazon not in {row["order-id"] for row in whole}


async def test_restricted_report_needs_the_role_and_a_token_for_this_document(seller: Seller) -> None:
    amazon = await application(seller)
    without_role = await create(amazon, ORDER_REPORT_TYPE)
    await amazon.control("roles", restricted=[ROLE])
    report = await finished(amazon, ORDER_REPORT_TYPE)
    path = f"/reports/2021-06-30/documents/{report['reportDocumentId']}"

    plain = await amazon.get(f"{API}{path}")
    for_all = await restricted(amazon, "/reports/2021-06-30/documents/{documentId}")
    wrong = await amazon.call("GET", f"{API}{path}", for_all)
    right = await restricted(amazon, path)
    good = await amazon.call("GET", f"{API}{path}", right)
    elsewhere = await amazon.call("GET", f"{REPORTS}/reports/{report['reportId']}", right)

    answers = (without_role, plain, wrong, good, elsewhere)
    assert [answer.status_code for answer in answers] == [403, 403, 403, 200, 403]
    assert without_role.json()["errors"][0]["details"] == ""


async def test_url_is_good_for_five_minutes_and_wants_no_token(seller: Seller) -> None:
    amazon = await application(seller)
    url = (await document(amazon, await finished(amazon)))["url"]

    with_token = await amazon.call("GET", url)
    good = await amazon.client.get(url)
    forged = await amazon.client.get(url[:-1])
    await amazon.advance(300)
    late = await amazon.client.get(url)

    assert [answer.status_code for answer in (with_token, good, forged, late)] == [403, 200, 403, 403]
    assert url.startswith("http://localhost:8090/")
    assert "expired" in late.text
    counters = (await amazon.client.get("/control/counters")).json()
    assert counters["documents"] == {"A1LAMPENLADEN7": 1}


@pytest.mark.parametrize(
    ("charset", "codec"), [("UTF-8", "utf-8"), ("Cp1252", "cp1252"), ("Shift_JIS", "cp932"), ("", "utf-8")]
)
async def test_compressed_in_any_charset(seller: Seller, charset: str, codec: str) -> None:
    amazon = await application(seller)
    await amazon.control("report-delivery", charset=charset, compressed=True)

    report = await finished(amazon)
    told = await document(amazon, report)
    file = await amazon.client.get(told["url"])
    query = {"enableContentEncodingUrlHeader": "true"}
    encoded = await amazon.get(f"{REPORTS}/documents/{report['reportDocumentId']}", **query)
    by_client = await amazon.client.get(encoded.json()["url"])

    assert told["compressionAlgorithm"] == "GZIP"
    assert file.headers["content-type"] == (f"text/plain; charset={charset}" if charset else "text/plain")
    assert table(gzip.decompress(file.content).decode(codec))
    assert by_client.content == gzip.decompress(file.content)


async def test_bytes_in_another_charset_than_the_header_says_and_with_a_mark(seller: Seller) -> None:
    amazon = await application(seller)
    await amazon.control("report-delivery", charset="", written_in="cp1252")
    unnamed = await download(amazon, await finished(amazon))
    await amazon.control("report-delivery", charset="", byte_order_mark=True)
    marked = await download(amazon, await finished(amazon))

    assert (unnamed.headers["content-type"], marked.headers["content-type"]) == ("text/plain", "text/plain")
    assert "Größe" in unnamed.content.decode("cp1252")
    assert marked.content.startswith(b"\xef\xbb\xbfamazon-order-id\t")
    assert "Größe" in marked.content.decode("utf-8")


@pytest.mark.parametrize(
    "fields",
    [
        {"reportType": "GET_FLAT_FILE_ORDERS_DATA"},
        {"marketplaceIds": []},
        {"marketplaceIds": DE},
        {"marketplaceIds": ["X"]},
        {"marketplaceIds": [DE] * 26},
        {"dataStartTime": "2026-08-01T00:00:00"},
        {"dataStartTime": 3},
        {"dataEndTime": "2026-07-01T00:00:00Z"},
        {"dataStartTime": "2024-01-01T00:00:00Z"},
        {"reportOptions": {"ShowSalesChannel": True}},
    ],
)
async def test_report_that_amazon_does_not_make_is_refused(seller: Seller, fields: dict[str, Any]) -> None:
    amazon = await application(seller)

    assert (await create(amazon, **fields)).status_code == 400


async def test_report_without_an_order_is_cancelled(seller: Seller) -> None:
    amazon = await application(seller)

    report = await finished(amazon, dataStartTime="2026-11-02T08:15:00Z")

    assert report["processingStatus"] == "CANCELLED"
    assert "reportDocumentId" not in report


async def test_a_reports_id_is_another_reports_at_another_seller(seller: Seller) -> None:
    amazon = await application(seller)
    own = (await create(amazon)).json()["reportId"]
    tokens = await seller.connect("A2CASAVERDE34K")
    other = Application(seller.client, tokens["access_token"])

    assert (await other.get(f"{REPORTS}/reports/{own}")).status_code == 404
    assert (await create(other, marketplaceIds=["A1RKKUPIHCS9HS"])).json()["reportId"] == own


async def test_reports_that_do_not_come(seller: Seller) -> None:
    amazon = await application(seller)

    async def during(name: str, **fields: Any) -> dict[str, Any]:
        await amazon.control(f"scenarios/{name}", count=1)
        return await finished(amazon, **fields)

    assert (await during("report-cancelled"))["processingStatus"] == "CANCELLED"
    assert (await during("report-stuck"))["processingStatus"] == "IN_PROGRESS"
    fatal = await during("report-fatal")
    assert fatal["processingStatus"] == "FATAL"
    assert "could not be made" in (await download(amazon, fatal)).text
    await amazon.control("scenarios/report-cooldown")
    assert (await finished(amazon))["processingStatus"] == "CANCELLED"
    await amazon.advance(1_800)
    assert (await finished(amazon))["processingStatus"] == "DONE"


async def test_documents_with_flaws(seller: Seller) -> None:
    amazon = await application(seller)

    async def during(name: str) -> dict[str, Any]:
        await amazon.control(f"scenarios/{name}", count=1)
        return await finished(amazon)

    cut = (await download(amazon, await during("report-cut"))).content
    assert not cut.endswith(b"\r\n")
    twice = (await download(amazon, await during("report-column-twice"))).text.split("\r\n")
    assert twice[0].split("\t").count("purchase-date") == 2
    assert {len(line.split("\t")) for line in twice[:-1]} == {len(ALL_ORDERS) + 1}
    wrong = await download(amazon, await during("report-wrong-charset"))
    assert "Größe" in wrong.content.decode("utf-8")
    assert "Cp1252" in wrong.headers["content-type"]
    redirect = await download(amazon, await during("report-url-redirects"))
    assert (redirect.status_code, redirect.headers["location"][:8]) == (302, "http://1")
    elsewhere = await document(amazon, await during("report-url-elsewhere"))
    assert elsewhere["url"].split("/")[2].endswith(".evil.example")


def report_with(delivery: Delivery, *flaws: str) -> Report:
    time = datetime(2026, 11, 1, tzinfo=UTC)
    report = Report("1", "A1", ORDER_REPORT_TYPE, (DE,), time, time, time, delivery, frozenset(flaws))
    report.outcome = ReportStatus.DONE
    return report


def test_a_million_lines_are_made_while_they_are_read() -> None:
    lampenladen = seeded_sellers()[0]
    pieces = read_out(report_with(Delivery(rows=1_000_000)), lampenladen)

    first, *few = [next(pieces) for _ in range(5)]

    rows = table((first + b"".join(few)).decode("cp1252"))
    assert len(rows) == len({row["order-id"] for row in rows}) == 2_000
    assert len({row["order-item-id"] for row in rows}) == 2_000
    small = b"".join(read_out(report_with(Delivery(rows=3, compressed=True)), lampenladen))
    assert len(table(gzip.decompress(small).decode("cp1252"))) == 3


def test_bomb_is_small_on_the_way_and_never_ends() -> None:
    pieces = read_out(report_with(Delivery(), "report-zip-bomb"), seeded_sellers()[0])
    decompressor = zlib.decompressobj(wbits=31)
    sent = [next(pieces) for _ in range(4)]

    sizes = [len(decompressor.decompress(piece)) for piece in sent]

    assert sum(sizes) == 4 * 16 * 1024 * 1024
    assert sum(map(len, sent)) < sum(sizes) / 500
