"""The sandbox's own pages for people: the overview, being the buyer, buying, the inbox, and the scenarios.

They only show and change what the control API does too; no page of Amazon's stands here.
"""
