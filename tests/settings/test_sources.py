"""Files as people leave them: odd endings, broken lines, unknown names."""

import os
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.settings.sources import from_env_file, from_environment, from_yaml

SECRET = "hunter2-do-not-print"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def values_of(path: Path) -> dict[str, str]:
    return {name: given.value for name, given in from_env_file(path).items()}


@pytest.mark.parametrize(
    "content",
    [
        b"IBKR_PORT=7497\nIBKR_CLIENT_ID=2\n",
        b"IBKR_PORT=7497\r\nIBKR_CLIENT_ID=2\r\n",
        b"\xef\xbb\xbfIBKR_PORT=7497\r\nIBKR_CLIENT_ID=2",
        b"export IBKR_PORT='7497'\n\n# a comment\n  IBKR_CLIENT_ID = \"2\"  # mine\n",
    ],
)
def test_a_file_from_any_editor_is_read(env: Path, content: bytes) -> None:
    env.write_bytes(content)
    assert values_of(env) == {"IBKR_PORT": "7497", "IBKR_CLIENT_ID": "2"}


def test_no_file_gives_nothing(env: Path) -> None:
    assert values_of(env) == {}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f"IBKR_ACCOUNT_ID='{SECRET}", "IBKR_ACCOUNT_ID"),
        (f'IBKR_ACCOUNT_ID="{SECRET}" {SECRET}', "IBKR_ACCOUNT_ID"),
        (f"IBKR_PASSWORD: {SECRET}", "IBKR_PASSWORD"),
        (f"IBKR_PORT {SECRET}", "IBKR_PORT"),
        ("IBKR_PORT", "IBKR_PORT"),
    ],
)
def test_a_malformed_line_is_an_error_with_its_line_and_key_only(env: Path, line: str, key: str) -> None:
    env.write_text(f"IBKR_CLIENT_ID=2\n\n{line}\nSIM_SEED=1\n")
    with pytest.raises(ConfigurationError, match=rf"\.env line 3 \({key}\) is malformed") as caught:
        from_env_file(env)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("line", [SECRET, f"{SECRET} IBKR_PORT=1", f"'{SECRET}"])
def test_a_stray_secret_is_not_taken_for_a_key(env: Path, line: str) -> None:
    env.write_text(f"IBKR_CLIENT_ID=2\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"\.env line 2 is malformed") as caught:
        from_env_file(env)
    assert SECRET not in str(caught.value)


def test_a_key_given_twice_counts_as_written_last_with_one_warning(env: Path, caplog: pytest.LogCaptureFixture) -> None:
    env.write_text("IBKR_PORT=1\nIBKR_PORT=2\nIBKR_PORT=3\n")
    assert values_of(env) == {"IBKR_PORT": "3"}
    (record,) = caplog.records
    assert "IBKR_PORT" in record.getMessage()
    assert "line 3" in record.getMessage()


def test_a_misspelt_name_of_ours_is_a_warning_and_a_stranger_is_none(
    env: Path, caplog: pytest.LogCaptureFixture
) -> None:
    env.write_text(f"IBKR_PROT={SECRET}\nDATABASE_URL={SECRET}\n")
    assert values_of(env) == {}
    (record,) = caplog.records
    assert "IBKR_PORT" in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("written", "meant"),
    [("ibkr_port", "IBKR_PORT"), ("Initial_Capital", "INITIAL_CAPITAL"), ("risk_daily_loss", "RISK_DAILY_LOSS")],
)
def test_a_name_in_small_letters_is_a_warning_with_the_one_that_is_meant(
    env: Path, caplog: pytest.LogCaptureFixture, written: str, meant: str
) -> None:
    env.write_text(f"{written}={SECRET}\n")
    assert values_of(env) == {}
    (record,) = caplog.records
    assert record.getMessage() == f".env line 1: {written} is no setting and is ignored: did you mean {meant}?"


def test_a_credential_in_small_letters_is_dropped_unread(env: Path, caplog: pytest.LogCaptureFixture) -> None:
    env.write_text(f"ib_password={SECRET}\n")
    assert values_of(env) == {}
    assert caplog.records == []


def test_a_file_that_is_not_utf8_is_an_error(env: Path) -> None:
    env.write_bytes("IBKR_PORT=7497\n".encode("utf-16"))
    with pytest.raises(ConfigurationError, match=r"\.env is not UTF-8"):
        from_env_file(env)


def test_a_folder_in_the_place_of_the_file_is_an_error(env: Path) -> None:
    env.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        from_env_file(env)


@pytest.mark.parametrize("name", ["IBKR_PROT", "ibkr_port", "PORT"])
def test_an_unknown_yaml_key_is_an_error_that_names_it_and_the_nearest(config: Path, name: str) -> None:
    config.write_text(f"IBKR_CLIENT_ID: 1\n{name}: {SECRET}\n")
    with pytest.raises(
        ConfigurationError, match=rf"line 2: unknown setting {name}; did you mean IBK?R?_PORT"
    ) as caught:
        from_yaml(config)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["bogus", "color", "IBKR_BANANA", "x"])
def test_an_unknown_yaml_key_that_is_like_none_has_no_guess(config: Path, name: str) -> None:
    config.write_text(f"{name}: 1\n")
    with pytest.raises(ConfigurationError, match=rf"unknown setting {name}; the settings are listed in \.env\.example"):
        from_yaml(config)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("IBKR_PROT", "IBKR_PORT"), ("IKBR_PORT", "IBKR_PORT"), ("IBKR_CLIENTID", "IBKR_CLIENT_ID"),
        ("METRICS_PROT", "METRICS_PORT"), ("METRIC_PORT", "METRICS_PORT"), ("ibkr_port", "IBKR_PORT"),
        ("SIM_SEEDS", "SIM_SEED"), ("risk_hours", "RISK_HOURS"),
    ],
)  # fmt: skip
def test_a_misspelt_variable_is_one_warning_without_its_value(
    caplog: pytest.LogCaptureFixture, written: str, meant: str
) -> None:
    assert from_environment({written: SECRET}) == {}
    (record,) = caplog.records
    assert record.getMessage() == f"the environment: {written} is no setting and is ignored: did you mean {meant}?"


def test_a_variable_of_ours_that_is_like_none_is_a_warning_without_a_guess(caplog: pytest.LogCaptureFixture) -> None:
    assert from_environment({"IBKR_BANANA": SECRET}) == {}
    (record,) = caplog.records
    assert "IBKR_BANANA is no setting and is ignored: the settings are listed in .env.example" in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOST", "PORT", "NOTIFY_SOCKET", "SIM_CARD", "METRICS_PATH", "IB_GATEWAY_VERSION", "ib_password",
        "NOTIFY_EVENT",  # set for a notification's own command, which may be this program
    ],
)  # fmt: skip
def test_another_program_s_variable_is_none_of_our_business(caplog: pytest.LogCaptureFixture, name: str) -> None:
    assert from_environment({name: SECRET}) == {}
    assert caplog.records == []


@pytest.mark.parametrize("name", ["IKBR_PORT", "INITAL_CAPITAL", "STRATEGY_NAMES"])
def test_a_key_of_the_file_that_is_all_but_ours_is_a_warning(
    env: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    env.write_text(f"{name}={SECRET}\n")
    assert values_of(env) == {}
    (record,) = caplog.records
    assert "did you mean" in record.getMessage()


@pytest.mark.parametrize("text", [f"IBKR_ACCOUNT_ID: '{SECRET}\n", f"IBKR_PORT: *{SECRET}\n", f"a: b: {SECRET}\n"])
def test_broken_yaml_is_an_error_without_its_text(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(ConfigurationError, match=r"config\.yaml line \d+ is not valid YAML") as caught:
        from_yaml(config)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", ["- IBKR_PORT\n", "IBKR_PORT\n"])
def test_yaml_that_is_no_mapping_is_an_error(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        from_yaml(config)


def test_a_nested_yaml_value_is_an_error(config: Path) -> None:
    config.write_text("IBKR_PORT:\n  live: 7496\n")
    with pytest.raises(ConfigurationError, match=r"IBKR_PORT .*must be a plain value"):
        from_yaml(config)


def test_an_empty_yaml_file_gives_nothing(config: Path) -> None:
    config.write_text("# nothing yet\n")
    assert from_yaml(config) == {}


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o644, True), (0o640, True), (0o777, False)])
def test_an_env_file_that_others_can_read_is_said_with_the_cure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    """It may hold a webhook or a token; a drive that knows no modes is not complained of."""
    path = tmp_path / ".env"
    path.write_text("IBKR_PORT=7497\n")
    path.chmod(mode)
    from_env_file(path)
    assert ("chmod 600" in caplog.text) is warned


@pytest.mark.skipif(os.name != "posix", reason="files have an owner by number on POSIX only")
@pytest.mark.parametrize(
    ("mode", "owner", "warned"),
    [(0o600, 1000, False), (0o600, 4000, True), (0o644, 4000, True), (0o600, 0, False), (0o777, 4000, False)],
    ids=["ours", "another's", "another's and open", "root's", "a drive without modes"],
)
def test_an_env_file_of_another_user_is_said_with_the_cure(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    owner: int,
    warned: bool,
) -> None:
    """Who owns it can set what is traded, and where. Root can anyway, and owns a container's files."""
    path = tmp_path / ".env"
    path.write_text("IBKR_PORT=7497\n")
    path.chmod(mode)
    facts = list(path.stat())
    facts[4] = owner
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: os.stat_result(facts))
    assert from_env_file(path)
    assert ("chown" in caplog.text) is warned
