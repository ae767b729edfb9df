"""Commands by name: each is imported only when it is called, so that `flightdeck --help` and every
other command start fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typing_extensions import override

HELP_OPTIONS: dict[str, Any] = {"help_option_names": ["--help", "-h"]}


@dataclass(frozen=True)
class Command:
    """One command: where it is (`module:attribute`), its help in one sentence, the section of the
    help page that lists it.

    The attribute is a `typer.Typer` or a function that typer can read.
    """

    target: str
    help: str
    section: str

    def load(self, name: str) -> Any:
        """The command itself, of typer's kind."""
        module, _, attribute = self.target.partition(":")
        attribute_value = getattr(import_module(module), attribute)
        if isinstance(attribute_value, typer.Typer):
            application = attribute_value
        else:
            application = new_application()
            application.command(name=name, context_settings=dict(HELP_OPTIONS))(attribute_value)
        command = typer.main.get_command(application)
        command.name = name
        more = (command.help or "").partition("\n\n")[2]
        command.help = f"{self.help}\n\n{more}".rstrip()
        return command


class SectionedGroup(TyperGroup):
    """A group whose help page tells every command's whole sentence."""

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands; nothing is cut to one line."""
        self.write_section(
            formatter,
            "Commands",
            {name: command.help or "" for name, command in self.commands.items()},
        )

    @staticmethod
    def write_section(formatter: Any, title: str, sentences: Mapping[str, str]) -> None:
        """Write one section of names and sentences."""
        with formatter.section(title):
            formatter.write_dl(
                [
                    (name, " ".join(text.partition("\n\n")[0].split()))
                    for name, text in sentences.items()
                ]
            )


class LazyGroup(SectionedGroup):
    """The commands of a dictionary."""

    lazy_commands: ClassVar[Mapping[str, Command]] = {}

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        """Every name, in the order of the dictionary."""
        return list(self.lazy_commands)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; `None` when there is none of that name."""
        command = self.lazy_commands.get(cmd_name)
        return None if command is None else command.load(cmd_name)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is called; an unknown name is answered with names that exist."""
        name = args[0]
        if name not in self.lazy_commands and not name.startswith("-"):
            similar = get_close_matches(name, self.lazy_commands)
            advice = (
                f"did you mean {' or '.join(map(repr, similar))}?"
                if similar
                else f"valid are {', '.join(self.lazy_commands)}."
            )
            ctx.fail(f"There is no command {name!r}; {advice}")
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of the dictionary, with nothing imported."""
        sections: dict[str, dict[str, str]] = {}
        for name, command in self.lazy_commands.items():
            sections.setdefault(command.section, {})[name] = command.help
        for title, sentences in sections.items():
            self.write_section(formatter, title, sentences)


def new_application(**options: Any) -> typer.Typer:
    """A `typer.Typer` with the habits of this command line: plain help pages, no completion script,
    and errors left to `cli.application`.
    """
    options.setdefault("cls", SectionedGroup)
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=dict(HELP_OPTIONS),
        **options,
    )
