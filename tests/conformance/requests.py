"""Reads the request files.

    # a comment
    name of the request: ~option ~Header=value METHOD /path {"the":"body"}
      more lines of the body

Indented lines belong to the body; a `_bulk` body ends with a line end. Requests are sent in the order of the files and of
their lines. `{{REPO}}` is the server's folder of repositories, `{{x*300}}` three hundred times x, `{{name}}` a saved value,
`{{bulk 3000 1200}}` so many bulk lines of documents of so many random characters. Options:

    ~status          only the status is compared
    ~text            the text is compared as it stands rather than as JSON
    ~drop=KEY        this key is left out of the comparison (it must be there on both sides)
    ~save=NAME:KEY   keeps a value of the answer for later requests
    ~until=TEXT      asks again, up to 30 s, while the answer matches this pattern (!TEXT: while it does not; \\s: a blank)
    ~chomp           no line end at the end of a bulk body
    ~Header=value    a header; an empty value sends a body without that header
"""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "requests"
LINE = re.compile(r"(?P<name>[^:~]+): (?P<options>(?:~\S+ )*)(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<body>.+))?$")


@dataclass
class Request:
    id: str
    method: str
    path: str
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    status_only: bool = False
    text: bool = False
    chomp: bool = False
    drop: tuple[str, ...] = ()
    save: tuple[str, str] | None = None
    until: str | None = None

    def sent_body(self, values: dict[str, str]) -> str | None:
        if self.body is None:
            return None
        body = fill(self.body, values)
        return body + "\n" if "_bulk" in self.path and not self.chomp else body

    def sent_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"} if self.body is not None else {}
        headers |= self.headers
        return {name: value for name, value in headers.items() if value}


def fill(text: str, values: dict[str, str]) -> str:
    """Puts in saved values and generated text."""

    def one(match: re.Match) -> str:
        inner = match[1]
        if repeated := re.fullmatch(r"(.)\*(\d+)", inner):
            return repeated[1] * int(repeated[2])
        if bulk := re.fullmatch(r"bulk (\d+) (\d+)", inner):
            return bulk_lines(int(bulk[1]), int(bulk[2]))
        return values[inner]

    return re.sub(r"\{\{([^{}]+)\}\}", one, text)


def bulk_lines(count: int, characters: int) -> str:
    source = random.Random(7)
    return "\n".join(f'{{"index":{{"_id":"{number}"}}}}\n{{"n":{number},"x":"{source.randbytes(characters // 2).hex()}"}}' for number in range(count))


def parse(path: Path) -> list[Request]:
    area = path.stem.split("-", 1)[1]
    found: list[Request] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("  "):
            request = found[-1]
            request.body = line[2:] if request.body is None else f"{request.body}\n{line[2:]}"
            continue
        parts = LINE.fullmatch(line)
        assert parts, f"{path.name}:{number}: not a request: {line}"
        request = Request(f"{area}/{parts['name']}", parts["method"], parts["path"], parts["body"])
        for option in parts["options"].split():
            apply_option(request, option[1:])
        found.append(request)
    return found


def apply_option(request: Request, option: str) -> None:
    name, _, value = option.partition("=")
    if name == "status":
        request.status_only = True
    elif name == "text":
        request.text = True
    elif name == "chomp":
        request.chomp = True
    elif name == "drop":
        request.drop += (value,)
    elif name == "save":
        saved, _, key = value.partition(":")
        request.save = (saved, key)
    elif name == "until":
        request.until = value
    else:
        assert name[0].isupper(), f"{request.id}: unknown option {option}"
        request.headers[name] = value


def load() -> list[Request]:
    requests = [request for path in sorted(FOLDER.glob("*.txt")) for request in parse(path)]
    seen = [request.id for request in requests]
    repeated = {identity for identity in seen if seen.count(identity) > 1}
    assert not repeated, f"names must be unique within a file: {sorted(repeated)}"
    return requests
