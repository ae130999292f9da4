"""From "Authorize" to a connected store: attempts, Amazon's redirect back, its login URI, and the pages that explain what went wrong.

An attempt is used once, by the browser and the person that began it. No state, code or token ever reaches a log, an exception or an
address of ours, and no transaction is open while Amazon is asked.
"""
