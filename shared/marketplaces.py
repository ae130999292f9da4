"""Amazon's marketplaces, regions and hosts: the only place where they are written down.

Source: Amazon's pages "Marketplace IDs" (2026-09-30), "SP-API endpoints" (2026-09-09) and "Seller Central URLs".
A host that is not in this table is never contacted and never redirected to.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class Region(StrEnum):
    """One SP-API endpoint and everything behind it; a consent always covers one whole region."""

    NA = "na"
    EU = "eu"
    FE = "fe"


@dataclass(frozen=True, slots=True)
class Marketplace:
    """One country's Amazon store. `country` is ISO 3166-1 alpha-2 (Amazon's pages say UK for GB)."""

    country: str
    marketplace_id: str
    region: Region
    seller_central_host: str
    currency: str
    locale: str
    retail_domain: str

    @property
    def buyer_mail_domain(self) -> str:
        """The domain of the anonymised buyer addresses; seen in traffic, not published by Amazon."""
        return f"marketplace.{self.retail_domain}"


_EUROPE = "sellercentral-europe.amazon.com"

MARKETPLACES: tuple[Marketplace, ...] = (
    Marketplace("US", "ATVPDKIKX0DER", Region.NA, "sellercentral.amazon.com", "USD", "en_US", "amazon.com"),
    Marketplace("CA", "A2EUQ1WTGCTBG2", Region.NA, "sellercentral.amazon.ca", "CAD", "en_CA", "amazon.ca"),
    Marketplace(
        "MX", "A1AM78C64UM0Y8", Region.NA, "sellercentral.amazon.com.mx", "MXN", "es_MX", "amazon.com.mx"
    ),
    Marketplace(
        "BR", "A2Q3Y263D00KWC", Region.NA, "sellercentral.amazon.com.br", "BRL", "pt_BR", "amazon.com.br"
    ),
    Marketplace("DE", "A1PA6795UKMFR9", Region.EU, _EUROPE, "EUR", "de_DE", "amazon.de"),
    Marketplace("FR", "A13V1IB3VIYZZH", Region.EU, _EUROPE, "EUR", "fr_FR", "amazon.fr"),
    Marketplace("IT", "APJ6JRA9NG5V4", Region.EU, _EUROPE, "EUR", "it_IT", "amazon.it"),
    Marketplace("ES", "A1RKKUPIHCS9HS", Region.EU, _EUROPE, "EUR", "es_ES", "amazon.es"),
    Marketplace("GB", "A1F83G8C2ARO7P", Region.EU, _EUROPE, "GBP", "en_GB", "amazon.co.uk"),
    Marketplace("NL", "A1805IZSGTT6HS", Region.EU, "sellercentral.amazon.nl", "EUR", "nl_NL", "amazon.nl"),
    Marketplace(
        "BE", "AMEN7PMS3EDWL", Region.EU, "sellercentral.amazon.com.be", "EUR", "fr_BE", "amazon.com.be"
    ),
    Marketplace("IE", "A28R8C7NBKEWEA", Region.EU, "sellercentral.amazon.ie", "EUR", "en_IE", "amazon.ie"),
    Marketplace("SE", "A2NODRKZP88ZB9", Region.EU, "sellercentral.amazon.se", "SEK", "sv_SE", "amazon.se"),
    Marketplace("PL", "A1C3SOZRARQ6R3", Region.EU, "sellercentral.amazon.pl", "PLN", "pl_PL", "amazon.pl"),
    Marketplace(
        "TR", "A33AVAJ2PDY3EV", Region.EU, "sellercentral.amazon.com.tr", "TRY", "tr_TR", "amazon.com.tr"
    ),
    Marketplace("AE", "A2VIGQ35RCS4UG", Region.EU, "sellercentral.amazon.ae", "AED", "en_AE", "amazon.ae"),
    Marketplace("SA", "A17E79C6D8DWNP", Region.EU, "sellercentral.amazon.sa", "SAR", "ar_SA", "amazon.sa"),
    Marketplace("EG", "ARBP9OOSHTCHU", Region.EU, "sellercentral.amazon.eg", "EGP", "ar_EG", "amazon.eg"),
    Marketplace(
        "ZA", "AE08WJ6YKNBMC", Region.EU, "sellercentral.amazon.co.za", "ZAR", "en_ZA", "amazon.co.za"
    ),
    Marketplace("IN", "A21TJRUUN4KGV", Region.EU, "sellercentral.amazon.in", "INR", "en_IN", "amazon.in"),
    Marketplace(
        "AU", "A39IBJ37TRP1C6", Region.FE, "sellercentral.amazon.com.au", "AUD", "en_AU", "amazon.com.au"
    ),
    Marketplace(
        "JP", "A1VC38T7YXB528", Region.FE, "sellercentral.amazon.co.jp", "JPY", "ja_JP", "amazon.co.jp"
    ),
    Marketplace("SG", "A19VAU5U5O7RUS", Region.FE, "sellercentral.amazon.sg", "SGD", "en_SG", "amazon.sg"),
)

BY_COUNTRY: dict[str, Marketplace] = {m.country: m for m in MARKETPLACES}
BY_ID: dict[str, Marketplace] = {m.marketplace_id: m for m in MARKETPLACES}
# Japan's older form is still seen in traffic.
BY_BUYER_MAIL_DOMAIN: dict[str, Marketplace] = {m.buyer_mail_domain: m for m in MARKETPLACES} | {
    "m.marketplace.amazon.co.jp": BY_COUNTRY["JP"]
}

LWA_ENDPOINT = "https://api.amazon.com/auth/o2/token"
_API_HOSTS = {region: f"sellingpartnerapi-{region.value}.amazon.com" for region in Region}


def api_url(region: Region) -> str:
    """The SP-API endpoint of a region, without a trailing slash."""
    return f"https://{_API_HOSTS[region]}"


def countries_of(region: Region) -> tuple[str, ...]:
    """Every country that a consent in this region covers."""
    return tuple(m.country for m in MARKETPLACES if m.region is region)


def reach(url: str, amazon_base_url: str | None) -> str:
    """The URL at which one of Amazon's URLs is reached.

    In production that is the URL itself. With a stand-in for Amazon (the sandbox), all hosts of Amazon live below
    one base address, each host as the first segment of the path, so that regions stay as separate as they are at Amazon.
    """
    if amazon_base_url is None:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{amazon_base_url.rstrip('/')}/{parts.netloc}{parts.path}{query}"


# A marketplace's clock, by its country: that of Amazon's offices where a country has several.
TIME_ZONES = {
    "US": "America/Los_Angeles",
    "CA": "America/Los_Angeles",
    "MX": "America/Mexico_City",
    "BR": "America/Sao_Paulo",
    "DE": "Europe/Berlin",
    "FR": "Europe/Paris",
    "IT": "Europe/Rome",
    "ES": "Europe/Madrid",
    "GB": "Europe/London",
    "NL": "Europe/Amsterdam",
    "BE": "Europe/Brussels",
    "IE": "Europe/Dublin",
    "SE": "Europe/Stockholm",
    "PL": "Europe/Warsaw",
    "TR": "Europe/Istanbul",
    "AE": "Asia/Dubai",
    "SA": "Asia/Riyadh",
    "EG": "Africa/Cairo",
    "ZA": "Africa/Johannesburg",
    "IN": "Asia/Kolkata",
    "AU": "Australia/Sydney",
    "JP": "Asia/Tokyo",
    "SG": "Asia/Singapore",
}
