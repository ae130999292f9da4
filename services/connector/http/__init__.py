"""What every request and every answer has in common: bounds, headers, versions, pages of lists, rate limits, language.

It knows no other room and no product word; no value that a request brought reaches a log here.
"""
