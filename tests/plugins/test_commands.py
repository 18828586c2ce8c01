"""Commands of plugins: their settings, what is refused, and the message of a failure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

COMMANDS = """
    import asyncio
    from functools import wraps

    import click
    from msgspec import Struct

    from apilane.plugin import ConfigurationError, PluginSettings, hookimpl

    class ToolSettings(Struct):
        greeting: str = "hello"

    @hookimpl
    def apilane_register_settings():
        return [PluginSettings(instance=ToolSettings)]

    def with_asyncio(function):
        @wraps(function)
        def run(*arguments, **named):
            return asyncio.run(function(*arguments, **named))
        return run

    @click.command("expect")
    def expect():
        raise ConfigurationError("The moon is not full.")

    @click.command("leave")
    def leave():
        raise SystemExit(7)

    @click.command("later")
    def later():
        return asyncio.sleep(0)

    @click.command("waits")
    @click.pass_obj
    @with_asyncio
    async def waits(context):
        click.echo(f"waited on {context.settings.port}")

    @click.group()
    def tools():
        pass

    @tools.command("fail")
    @click.option("--config")
    def fail(config):
        raise LookupError(f"no key\\nin {config}")

    @hookimpl
    def apilane_register_commands(settings, options):
        @click.command("greet")
        @click.pass_obj
        def greet(context):
            click.echo(f"{options.greeting} from {settings.port} and {context.settings.port}")

        return [greet, expect, leave, later, waits, tools]
    """


@pytest.fixture
def run(plugins_dir: Path, tmp_path: Path) -> Run:
    """Run ``apilane`` with the folder of plugins in an empty working directory."""

    def start(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("apilane")), *arguments],
            env={"APILANE_PLUGINS_DIR": str(plugins_dir), "PATH": "", **environ},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return start


@pytest.fixture
def tool(plugins_dir: Path) -> None:
    """The plugin ``tool`` with the commands above."""
    (plugins_dir / "tool.py").write_text(dedent(COMMANDS), encoding="utf-8")


@pytest.mark.usefixtures("tool")
def test_a_commands_hook_gets_settings_and_options(run: Run, tmp_path: Path) -> None:
    """The hook receives the settings and the plugin's options like every other hook; the command's context has the
    settings of the file that ``--config`` names.
    """
    (tmp_path / "apilane.toml").write_text("port = 5004\n", encoding="utf-8")
    (tmp_path / "other.toml").write_text("port = 5005\n", encoding="utf-8")
    ran = run("greet", "--config", "other.toml", APILANE_TOOL_GREETING="good evening")
    assert (ran.stdout, ran.stderr) == ("good evening from 5004 and 5005\n", "")
    refused = run("greet", APILANE_TOOL_GRETING="x")
    assert refused.returncode == 1
    assert "the plugin 'tool' has no such setting (did you mean 'APILANE_TOOL_GREETING'?)" in refused.stderr


@pytest.mark.usefixtures("tool")
def test_a_failure_of_a_command_names_its_plugin(run: Run) -> None:
    """A failure of a command, or of a subcommand, ends with one line that names plugin and hook; the traceback is
    printed only at the log level debug.
    """
    hook = "Error: Plugin 'tool', hook apilane_register_commands:"
    line = f"{hook} the command 'tools' failed with LookupError: no key in x"
    arguments = ("tools", "fail", "--config", "x")
    ran = run(*arguments)
    assert (ran.returncode, ran.stderr.splitlines()) == (1, [line])
    first, *_, last = run(*arguments, APILANE_LOG_LEVEL="debug").stderr.splitlines()
    assert (first, last) == ("Traceback (most recent call last):", line)
    returned = run("later")
    assert (returned.returncode, len(returned.stderr.splitlines())) == (1, 1)
    assert "'tool', hook apilane_register_commands: the command 'later' failed with TypeError: it" in returned.stderr


@pytest.mark.usefixtures("tool")
def test_a_command_may_end_with_its_own_message(run: Run) -> None:
    """An expected failure shows only its message, an exit keeps its code, and a decorator may run a coroutine."""
    expected = run("expect")
    assert (expected.returncode, expected.stderr) == (1, "Error: The moon is not full.\n")
    left = run("leave")
    assert (left.returncode, left.stderr) == (7, "")
    waited = run("waits", APILANE_PORT="5006")
    assert (waited.stdout, waited.stderr) == ("waited on 5006\n", "")


HEAD = "import click\nfrom apilane.plugin import hookimpl\n"
HOOK = "\n@hookimpl\ndef apilane_register_commands():\n    return [bad]\n"
REFUSED = {
    "async": (
        "@click.command('bad')\nasync def bad(): pass",
        "the command 'bad' must be written with 'def'; call asyncio.run in it.",
    ),
    "async with the context": (
        "@click.command('bad')\n@click.pass_obj\nasync def bad(context): pass",
        "the command 'bad' must be written with 'def'",
    ),
    "async below a group": (
        "bad = click.Group('bad')\n@bad.command('worse')\nasync def worse(): pass",
        "the command 'bad worse' must be written with 'def'",
    ),
    "option of the core": (
        "bad = click.Command('bad', params=[click.Option(['--config', 'mine'])])",
        "the command 'bad' has a parameter 'mine', and the core adds the option --config to every command; rename",
    ),
    "parameter of the core": (
        "bad = click.Command('bad', params=[click.Argument(['data_dir'])])",
        "the command 'bad' has a parameter 'data_dir', and the core adds the option --data-dir to every command",
    ),
    "command of the core": ("bad = click.Command('serve')", "the core has a command 'serve'; choose another name."),
    "failing import": ("bad = property(click.nothing)", "cannot be imported from"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_command_that_cannot_work_is_refused(name: str, run: Run, plugins_dir: Path) -> None:
    """A command that cannot work is refused with the name of its plugin. The help shows the reason once and the core's
    commands.
    """
    body, message = REFUSED[name]
    (plugins_dir / "wrong.py").write_text(HEAD + body + HOOK, encoding="utf-8")
    helped = run("--help")
    assert (helped.returncode, helped.stderr.count("Commands of plugins are not listed: Plugin 'wrong'")) == (0, 1)
    assert message in helped.stderr
    assert "doctor" in helped.stdout
    if name == "command of the core":
        ran = run("nothing")
        assert (ran.returncode, message in ran.stderr) == (1, True)
