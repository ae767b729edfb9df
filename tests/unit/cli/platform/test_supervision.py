import configparser
import shlex

import pytest

from cli.platform import folders, supervision
from cli.platform.environment import ensure_secrets
from cli.platform.metadata import password
from cli.platform.processes import platform_processes
from cli.platform.stamped import stamped
from include.errors import PlatformError
from include.settings import load_settings
from tests.homes import ODD_NAME


def settings_in(folder):
    return load_settings(
        {"FLIGHTDECK_HOME": str(folder), "FLIGHTDECK_AIRFLOW_DATABASE": "embedded"}
    )


@pytest.mark.parametrize("name", ["100% odd, folder", "a 'b' #c ;d%(x)s", ODD_NAME])
def test_the_configuration_reads_back_as_supervisord_reads_it(name, tmp_path, monkeypatch):
    from supervisor.options import ServerOptions

    settings = settings_in(tmp_path / name)
    (settings.home / "log").mkdir(parents=True)
    (settings.home / "mlflow").mkdir()
    (settings.home / "run").mkdir()
    for variable, folder in supervision.folder_variables(settings).items():
        monkeypatch.setenv(variable, folder)
    processes = platform_processes(settings)
    path = tmp_path / "supervisord.conf"
    path.write_text(supervision.render_configuration(settings, processes))
    options = ServerOptions()
    options.realize(["-c", str(path)])
    programs = {group.name: group.process_configs[0] for group in options.process_group_configs}
    assert programs.keys() == {process.name for process in processes}
    for process in processes:
        program = programs[process.name]
        assert tuple(shlex.split(program.command)) == stamped(process.command)
        assert program.environment == process.environment
        assert program.stopasgroup
        assert program.killasgroup
        assert program.stdout_logfile == str(process.log)
        assert program.directory == str(process.directory)
    assert options.logfile == str(settings.home / "log" / "supervisord.log")


def test_processes_start_in_the_order_of_the_list(tmp_path):
    priorities = [process.priority for process in platform_processes(settings_in(tmp_path))]
    assert priorities == sorted(set(priorities))


def test_nothing_starts_before_what_it_needs_and_every_file_is_private(tmp_path):
    processes = platform_processes(settings_in(tmp_path))
    parser = configparser.RawConfigParser()
    parser.read_string(supervision.render_configuration(settings_in(tmp_path), processes))
    assert {parser[f"program:{process.name}"]["autostart"] for process in processes} == {"false"}
    # PostgreSQL would answer SIGTERM by waiting for its clients, which never leave.
    assert parser["program:airflow-database"]["stopsignal"] == "INT"
    assert parser["supervisord"]["umask"] == "077"


def test_every_server_listens_on_loopback_only(tmp_path):
    for process in platform_processes(settings_in(tmp_path)):
        if process.port is not None:
            assert process.command[process.command.index("--host") + 1] == "127.0.0.1"
        if process.name in {"airflow-scheduler", "airflow-triggerer"}:
            assert "--skip-serve-logs" in process.command


def test_airflows_secrets_are_in_no_command_line(tmp_path):
    settings = settings_in(tmp_path)
    keys = [*vars(ensure_secrets(settings)).values(), password(settings)]
    text = " ".join(" ".join(process.command) for process in platform_processes(settings))
    assert not [key for key in keys if key in text]


def test_the_socket_is_private(tmp_path):
    parser = configparser.RawConfigParser()
    parser.read_string(supervision.render_configuration(settings_in(tmp_path), ()))
    assert parser["unix_http_server"]["chmod"] == "0700"


def test_a_long_home_gets_a_short_socket_path(tmp_path):
    near, far = settings_in("/tmp/near"), settings_in(tmp_path / ("d" * 120))
    assert supervision.socket_path(near) == near.home / "run" / "supervisor.sock"
    assert len(str(folders.socket_folder(far))) <= folders.LONGEST_SOCKET_FOLDER
    assert supervision.socket_path(far) != supervision.socket_path(
        settings_in(tmp_path / ("e" * 120))
    )


def test_a_socket_folder_that_others_can_open_is_refused(tmp_path):
    settings = settings_in(tmp_path / ("f" * 120))
    folder = supervision.socket_path(settings).parent
    folder.mkdir()
    folder.chmod(0o755)  # whatever this process keeps from others by itself
    try:
        with pytest.raises(PlatformError, match="only you can open"):
            supervision.start_daemon(settings, (), {})
    finally:
        folders.remove_short_socket_folder(settings)
    assert not folder.exists()


def test_nothing_runs_in_an_empty_home(tmp_path):
    assert not supervision.is_running(settings_in(tmp_path))
    with pytest.raises(PlatformError, match="does not answer"):
        supervision.process_states(settings_in(tmp_path))


def test_a_stale_socket_is_not_a_running_platform(tmp_path):
    import socket

    settings = settings_in(tmp_path)
    path = supervision.socket_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert path.exists()
    assert not supervision.is_running(settings)
    path.unlink()


def test_a_value_that_the_configuration_cannot_carry_is_refused(tmp_path):
    process = platform_processes(settings_in(tmp_path))[0]
    process.environment["ODD"] = "say \"no\" and 'yes'"
    with pytest.raises(PlatformError, match="ODD"):
        supervision.render_configuration(settings_in(tmp_path), [process])


def test_a_value_that_no_configuration_carries_is_named_and_not_shown(tmp_path):
    odd = """postgresql+psycopg://me:planted'"8f3c@db/ledger"""
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_LEDGER_URL": odd})
    with pytest.raises(PlatformError, match="FLIGHTDECK_LEDGER_URL holds both kinds") as refused:
        supervision.render_configuration(settings, platform_processes(settings))
    assert "8f3c" not in str(refused.value)
