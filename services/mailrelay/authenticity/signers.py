"""Who signs and sends Amazon's mail, and whose seal is trusted: `signers.toml`, read."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from services.mailrelay.authenticity.dmarc import is_aligned

_DOMAIN = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str = Field(pattern=_DOMAIN)
    source: str = Field(min_length=10)


class Signer(_Entry):
    """A domain that signs Amazon's mail; `assumed` says that nobody has seen it do so."""

    assumed: bool
    signs_for_all: bool = False


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    signers: tuple[Signer, ...]
    envelopes: tuple[_Entry, ...] = ()
    sealers: tuple[_Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustedSigners:
    """The domains whose signatures, the envelope domains whose hosts, and the receivers whose ARC seals count as proof."""

    signers: tuple[Signer, ...]
    sealers: frozenset[str] = frozenset()
    envelopes: frozenset[str] = frozenset()

    def signs_for(self, domain: str, from_domain: str) -> bool:
        """Whether a signature of this domain proves a mail from that one."""
        return any(
            f".{domain}".endswith(f".{signer.domain}")
            and (signer.signs_for_all or is_aligned(domain, from_domain, strictly=False))
            for signer in self.signers
        )

    def sends_from(self, envelope_domain: str) -> bool:
        """Whether it proves a mail that a host of this domain has sent it (SPF); compared whole."""
        return envelope_domain in self.envelopes

    def seals(self, sealers: tuple[str, ...]) -> bool:
        """Whether all of them are trusted: each could have changed what the one before had sealed."""
        return bool(sealers) and self.sealers.issuperset(sealers)


def read_trusted_signers(text: str) -> TrustedSigners:
    """Raises ValueError if the text is wrong: `signers.toml` explains how it should look."""
    data = _Data.model_validate(tomllib.loads(text))
    return TrustedSigners(
        data.signers,
        sealers=frozenset(entry.domain for entry in data.sealers),
        envelopes=frozenset(entry.domain for entry in data.envelopes),
    )


@cache
def trusted_signers() -> TrustedSigners:
    """The signers and sealers that come with the code."""
    return read_trusted_signers(files(__package__).joinpath("signers.toml").read_text("utf-8"))
