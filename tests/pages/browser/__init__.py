"""The pages in Chromium: what `make pages` runs, and other runs of the tests do not, because they have no browser."""
