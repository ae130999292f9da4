"""The pages: plain ES modules, CSS and texts in German (du, and Sie by choice) and English over the public REST API; no build step. At the
start, `static_files.py` puts together what browsers get: everything below an address with a hash, so that it is kept for ever; one style
sheet; two files of scripts for each page (`script_bundles.py`: what all pages share, and the page); and its own texts, found by their keys there.

No script or style is inline, and no path from a browser ever reaches the file system.
"""
