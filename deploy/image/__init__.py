"""What the image is made of: docs/operations/first-hour.md says how it is built."""
