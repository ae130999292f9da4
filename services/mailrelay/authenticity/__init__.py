"""Decides whether a mail that says it is Amazon's is: SPF, DKIM, DMARC and ARC, on the bytes as they were accepted.

A missing answer proves nothing, neither authenticity nor forgery; and no mail, however it is made, raises an exception here.
"""
