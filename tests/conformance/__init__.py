"""The same requests to a real OpenSearch and to Snapkeep, the answers compared.

`requests/*.txt` are the requests, `requests.py` reads them, `record.py` sends them, `normalise.py` takes out what no
two servers share (times, ids, sizes, hash orders), `differences.py` compares and consults the table `docs/differences.md`.
"""
