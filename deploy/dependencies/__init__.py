"""What the project stands on: the licences of what runs, and whether vulnerabilities of what is pinned are known."""
