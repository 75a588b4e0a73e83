"""LOG106 credential-in-log."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run
from runvet.secrets import MASK


@rule("LOG106", "credential-in-log", level="warning", since="0.1")
def credential_in_log(run: Run) -> Sick | None:
    """A key, token or password stands in the files of the run.

    ## What it checks
    Lines and configuration values that hold a credential in a published form (prefixes of the services, addresses with
    a password, values named so). The value is never repeated, only the file and line.
    ## Why it matters
    Logs are shared more freely than code; whoever reads this one can use the account.
    ## What to do
    Revoke the credential, issue a new one, pass it by environment variable, and remove the old one from the file.
    ## When to ignore it
    The value is a placeholder, or the credential is long revoked.
    ## Known limits
    A credential without a known form or a telling name is not seen.
    ## References
    - https://docs.github.com/en/code-security/secret-scanning
    """
    places: dict[str, str] = {}
    for stage in run.stages:
        for event in stage.events:
            if event.kind == "credential":
                places.setdefault(event.where, str(event.value or "credential"))
    settings = (*run.settings, *(s for stage in run.stages for s in stage.settings))
    for setting in settings:
        if isinstance(setting.value, str) and MASK in setting.value:
            places.setdefault(setting.where, "named value")
    if not places:
        return None
    first = next(iter(places))
    more = f" and {len(places) - 1} more places" if len(places) > 1 else ""
    return Sick(
        f"a credential stands in {first}{more}",
        evidence=tuple(
            Measure("credential (not repeated)", kind, None, where) for where, kind in list(places.items())[:5]
        ),
        innocent="a placeholder, or a credential that no longer works",
        actions=(Action(f"Revoke the credential in {first} and remove it from the file", "minutes", "repair"),),
    )


def sick() -> Iterator[Run]:
    """A key in the console log, and one in a configuration."""
    key = examples.event("credential", "", line=12, value="key")
    yield examples.run(examples.stage(console=True, train_loss=examples.decay(200), events=[key]))
    told = examples.run(examples.stage(train_loss=examples.decay(200)), settings={"wandb.api_key": MASK})
    yield told


def healthy() -> Iterator[Run]:
    """A run whose settings hold a harmless token count."""
    yield examples.run(
        examples.stage(train_loss=examples.decay(200)), settings={"max_tokens": 4096, "token": "${TOKEN}"}
    )
