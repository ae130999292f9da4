"""The table of marketplaces: complete, unambiguous, and the way to Amazon or to its stand-in."""

from shared.marketplaces import (
    BY_BUYER_MAIL_DOMAIN,
    BY_COUNTRY,
    BY_ID,
    MARKETPLACES,
    Region,
    api_url,
    countries_of,
    reach,
)


def test_every_marketplace_of_amazon_is_there_once():
    assert len(MARKETPLACES) == len(BY_COUNTRY) == len(BY_ID) == 23


def test_us_covers_north_america_and_brazil():
    assert set(countries_of(BY_COUNTRY["US"].region)) == {"US", "CA", "MX", "BR"}


def test_de_covers_europe_and_what_amazon_serves_from_there():
    assert {"DE", "GB", "TR", "AE", "SA", "EG", "ZA", "IN", "IE"} <= set(
        countries_of(BY_COUNTRY["DE"].region)
    )


def test_au_covers_japan_and_singapore():
    assert set(countries_of(BY_COUNTRY["AU"].region)) == {"AU", "JP", "SG"}


def test_buyer_mail_domains_name_one_country_each():
    assert BY_BUYER_MAIL_DOMAIN["marketplace.amazon.co.uk"].country == "GB"
    assert BY_BUYER_MAIL_DOMAIN["m.marketplace.amazon.co.jp"].country == "JP"
    assert "amazon.de" not in BY_BUYER_MAIL_DOMAIN


def test_in_production_amazon_is_reached_at_its_own_address():
    assert reach(api_url(Region.EU) + "/sellers", None) == "https://sellingpartnerapi-eu.amazon.com/sellers"


def test_a_stand_in_keeps_the_hosts_apart():
    reached = reach(api_url(Region.FE) + "/sellers?a=b", "http://localhost:8090/")

    assert reached == "http://localhost:8090/sellingpartnerapi-fe.amazon.com/sellers?a=b"
