"""What the end-to-end suites share: the server under test, a raw HTTP client, documents, stock restic, the real peer."""
