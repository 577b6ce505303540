"""A message in the words of Discord, Slack or ntfy, and the two ways out: a web address, a command. Secrets masked."""

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

_PATIENCE: Final = 10.0
_LONGEST: Final = 1800  # Discord takes 2,000 characters
_HOSTS: Final = {"discord.com": "discord", "discordapp.com": "discord", "hooks.slack.com": "slack"}
_URGENT: Final = frozenset({"kill", "disconnected"})


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is told: the kind of event, and one text of a few lines."""

    event: str
    text: str


def printable(text: str) -> str:
    """A text without what a terminal or a chat could take for more than text; of bearable length."""
    clean = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]} ..."


def format_of(address: str, wanted: str) -> str:
    """The form of a webhook: as wanted, or by its host."""
    return _HOSTS.get(urlsplit(address).hostname or "", "ntfy") if wanted == "auto" else wanted


def masked_address(address: str) -> str:
    """An address without what lets others write there."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}/***"


def request(address: str, form: str, message: Message) -> Request:
    """The message as its receiver wants it."""
    text = printable(message.text)
    if form == "ntfy":
        headers = {"Title": f"Understudy: {message.event}", "Priority": "5" if message.event in _URGENT else "3"}
        return Request(address, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **headers})  # noqa: S310  # the settings take http and https only
    if form == "discord":
        body: dict[str, object] = {"content": text, "allowed_mentions": {"parse": []}}
    else:
        body = {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    headers = {"Content-Type": "application/json", "User-Agent": "understudy"}
    return Request(address, json.dumps(body).encode(), headers)  # noqa: S310  # as above


def post(address: str, form: str, message: Message) -> str:
    """Send it; why that failed, without the address, or "" when it did not."""
    try:
        with urlopen(request(address, form, message), timeout=_PATIENCE) as answer:  # noqa: S310  # as above
            answer.read(1000)
    except HTTPError as error:
        error.close()
        return f"{masked_address(address)} answers {error.code}"
    except (URLError, OSError, ValueError, HTTPException) as error:
        return f"{masked_address(address)}: {getattr(error, 'reason', type(error).__name__)}"
    return ""


def run(command: str, message: Message) -> str:
    """Run a command with the text on its standard input; why that failed, or "" when it did not."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFY_")}
    try:
        done = subprocess.run(  # noqa: S603  # the user's own command, not through a shell
            shlex.split(command),
            input=printable(message.text) + "\n",
            env={**environment, "NOTIFY_EVENT": message.event},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"NOTIFY_COMMAND: {type(error).__name__}"
    return f"NOTIFY_COMMAND ended with {done.returncode}" if done.returncode else ""
