"""What a provider's claims mean here: an address, a name, permissions, and whether there was a second factor."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE
from shared.permissions import Level, Permission

_MAX_VALUES: Final = 1_000
_MAX_NAME: Final = 100
_MAX_EMAIL: Final = 254
# RFC 8176: something that somebody has, beside what they know.
_POSSESSION: Final = frozenset({"otp", "hwk", "swk", "sms", "tel", "sc"})
_KNOWLEDGE: Final = frozenset({"pwd", "pin", "kba"})
_METHODS: Final = (
    _POSSESSION | _KNOWLEDGE | {"mfa", "fpt", "face", "iris", "vbm", "user", "wia", "rba", "mca", "geo"}
)
# Where people of all companies, and of none, sign in under one issuer: the claim that says whose somebody is. Google tells to check it.
ORGANIZATION_CLAIMS: Final[Mapping[str, str]] = {"https://accounts.google.com": "hd"}


@dataclass(frozen=True, slots=True)
class LevelRule:
    """Whoever's claim has this value gets these levels."""

    value: str
    levels: Mapping[Permission, Level]


def rules_of(stored: Sequence[Mapping[str, Any]]) -> list[LevelRule]:
    """The rules as `oidc_providers.level_rules` holds them."""
    return [
        LevelRule(
            each["value"], {Permission(name): Level(level) for name, level in each["permissions"].items()}
        )
        for each in stored
    ]


def stored_rules(rules: Iterable[LevelRule]) -> list[dict[str, Any]]:
    return [
        {"value": rule.value, "permissions": {name.value: level.value for name, level in rule.levels.items()}}
        for rule in rules
    ]


def highest(*levels: Mapping[Permission, Level]) -> dict[Permission, Level]:
    """Of each permission of people the highest of these levels."""
    found: dict[Permission, Level] = dict.fromkeys(PERMISSIONS_OF_PEOPLE, Level.NONE)
    for each in levels:
        for permission, level in each.items():
            if permission in found and level.includes(found[permission]):
                found[permission] = level
    return found


def levels_by_claim(
    claims: Mapping[str, Any], claim: str, rules: Iterable[LevelRule], least: Mapping[Permission, Level]
) -> dict[Permission, Level]:
    """What the claim's values give, and no less than `least`. A claim that is missing gives nothing."""
    values = set(values_of(claims, claim))
    return highest(least, *(rule.levels for rule in rules if rule.value in values))


def values_of(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The values of a claim: a text, or a list of texts. `realm_access.roles` is a claim within a claim, unless there is one of that name."""
    found: Any = claims.get(claim)
    if found is None and "." in claim:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    if isinstance(found, list):
        return [each for each in found[:_MAX_VALUES] if isinstance(each, str)]
    return []


def email_of(claims: Mapping[str, Any]) -> str | None:
    """The address as it was written, if it is a plain one.

    In ASCII alone: the Kelvin sign in lower case is a k, and whoever has such an address would be taken for somebody else.
    """
    value = claims.get("email")
    if not isinstance(value, str) or len(value) > _MAX_EMAIL or not (value.isascii() and value.isprintable()):
        return None
    email = value.strip()
    local, _, domain = email.rpartition("@")
    is_plain = local and "." in domain and not any(each in email for each in " ,;<>") and "@" not in local
    return email if is_plain else None


def is_email_verified(claims: Mapping[str, Any]) -> bool:
    """Some providers write the boolean as a text."""
    return claims.get("email_verified") in (True, "true")


def with_told(claims: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """An ID token's claims, and what UserInfo tells beside them. Whether an address is verified is said of the one beside it."""
    beside = claims if "email" in claims else told
    return {**told, **claims, "email_verified": beside.get("email_verified")}


def name_of(claims: Mapping[str, Any], email: str) -> str:
    """What colleagues see; the start of the address if the provider says nothing fit to be a name."""
    value = claims.get("name")
    if isinstance(value, str):
        name = " ".join(value.split())
        if 0 < len(name) <= _MAX_NAME and name.isprintable():
            return name
    return email.partition("@")[0][:_MAX_NAME]


def language_of(claims: Mapping[str, Any]) -> str:
    """German, unless the provider says that they speak something else."""
    locale = claims.get("locale")
    return "en" if isinstance(locale, str) and not locale.lower().startswith("de") else "de"


def methods_of(claims: Mapping[str, Any]) -> list[str]:
    """The known words of `amr` (RFC 8176), in their order: none of them says who somebody is."""
    return sorted(set(values_of(claims, "amr")) & _METHODS)


def had_two_factors(methods: Iterable[str]) -> bool:
    """Whether the provider says that there were two factors."""
    said = set(methods)
    return "mfa" in said or bool(said & _KNOWLEDGE and said & _POSSESSION)


def domain_of(email: str) -> str:
    return email.rpartition("@")[2]
