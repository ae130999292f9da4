"""Decides whether a mail that says it is Amazon's is: SPF, DKIM, DMARC and ARC, on the bytes as they were accepted.

An answer that did not come is never taken for a proof, nor for a forgery; and no mail, however it is made, raises an exception here.
"""
