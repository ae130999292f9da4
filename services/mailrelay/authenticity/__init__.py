"""Whether a mail is from whom it says: SPF, DKIM, DMARC and ARC, on the bytes as they were accepted."""
