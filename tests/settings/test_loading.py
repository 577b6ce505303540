"""What counts, and what is said, when settings come from several places."""

import logging
import subprocess
import sys
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.settings import Settings, load_settings
from src.settings.names import CREDENTIALS, NAMES
from src.settings.schema import FIELDS

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-do-not-print"


def env_file(root: Path, text: str | bytes) -> None:
    (root / ".env").write_bytes(text.encode() if isinstance(text, str) else text)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_nothing_given_leaves_the_documented_defaults(tmp_path: Path) -> None:
    settings = load_settings(environ={}, root=tmp_path)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.client_id, settings.check_client_id) == ("auto", None, 1, 101)
    assert (settings.account_type, settings.allow_live, settings.read_only) == ("paper", "", False)
    assert (settings.symbols, settings.initial_capital) == (("NVDA", "MSFT"), Decimal(100_000))
    assert (settings.sim_market_hours, settings.metrics_host, settings.metrics_port) == ("auto", "127.0.0.1", 8000)
    assert settings.state_dir.name == "understudy"


def test_each_source_beats_the_ones_behind_it(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("IBKR_CLIENT_ID: 2\n")
    assert load_settings(environ={}, root=tmp_path).client_id == 2
    env_file(tmp_path, "IBKR_CLIENT_ID=3\n")
    assert load_settings(environ={}, root=tmp_path).client_id == 3
    environ = {"IBKR_CLIENT_ID": "4"}
    assert load_settings(environ=environ, root=tmp_path).client_id == 4
    assert load_settings(environ=environ, root=tmp_path, client_id=5).client_id == 5
    assert load_settings(environ=environ, root=tmp_path, client_id=None).client_id == 4


def test_a_given_yaml_file_replaces_the_one_at_the_root(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("IBKR_CLIENT_ID: 2\n")
    mine = tmp_path / "mine.yaml"
    mine.write_text("SIM_SEED: 9\n")
    settings = load_settings(environ={}, root=tmp_path, config=mine)
    assert (settings.client_id, settings.sim_seed) == (1, 9)


def test_a_given_yaml_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml"):
        load_settings(environ={}, root=tmp_path, config=tmp_path / "absent.yaml")


def test_an_alias_in_the_environment_beats_the_canonical_name_in_the_file(tmp_path: Path) -> None:
    """The set-up's `.env` always holds IBKR_HOST_IP=auto."""
    env_file(tmp_path, "IBKR_HOST_IP=auto\n")
    assert load_settings(environ={"IB_HOST": "192.168.1.9"}, root=tmp_path).host == "192.168.1.9"


@pytest.mark.parametrize(
    ("field", "name", "text", "value"),
    [
        (field, name, text, value)
        for field, text, value in [
            ("host", "10.0.0.1", "10.0.0.1"),
            ("port", "7497", 7497),
            ("client_id", "7", 7),
            ("backend", "simulated", "simulated"),
            ("strategy", "my.module:Mine", "my.module:Mine"),
            ("sim_fees", "none", "none"),
            ("sim_hard_to_borrow", "tsla, AMD", ("TSLA", "AMD")),
        ]
        for name in NAMES[field]
    ],
)
def test_every_alias_is_accepted(tmp_path: Path, field: str, name: str, text: str, value: object) -> None:
    assert getattr(load_settings(environ={name: text}, root=tmp_path), field) == value
    (tmp_path / "config.yaml").write_text(f"{name}: {text}\n")
    assert getattr(load_settings(environ={}, root=tmp_path), field) == value


def test_aliases_that_disagree_give_one_warning_naming_both(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    environ = {"IBKR_PORT": "7497", "IB_PORT": "4002"}
    assert load_settings(environ=environ, root=tmp_path).port == 7497
    (warning,) = warnings_of(caplog)
    assert "IBKR_PORT" in warning
    assert "IB_PORT" in warning.replace("IBKR_PORT", "")
    assert "4002" not in warning


def test_aliases_that_agree_are_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_settings(environ={"IBKR_PORT": "7497", "IB_PORT": " 7497 "}, root=tmp_path)
    assert warnings_of(caplog) == []


def test_the_account_of_the_other_mode_is_neither_used_nor_a_disagreement(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"IBKR_PAPER_ACCOUNT_ID": "DU1", "IBKR_LIVE_ACCOUNT_ID": "U2"}
    assert load_settings(environ=environ, root=tmp_path).account_id == "DU1"
    assert load_settings(environ=environ, root=tmp_path, account_type="live").account_id == "U2"
    assert load_settings(environ=environ | {"IBKR_ACCOUNT_TYPE": "LIVE"}, root=tmp_path).account_id == "U2"
    assert warnings_of(caplog) == []


def test_empty_values_count_as_not_given(tmp_path: Path) -> None:
    env_file(tmp_path, "IBKR_CLIENT_ID=\nIBKR_SYMBOLS=  \n")
    (tmp_path / "config.yaml").write_text("IBKR_CLIENT_ID: 6\nIBKR_PORT:\nSIM_SEED: ~\n")
    settings = load_settings(environ={"IBKR_CLIENT_ID": " "}, root=tmp_path)
    assert (settings.client_id, settings.port, settings.sim_seed) == (6, None, 1)
    assert settings.symbols == ("NVDA", "MSFT")


def test_bare_names_of_a_shell_are_never_read(tmp_path: Path) -> None:
    environ = {"HOST": "8.8.8.8", "PORT": "7496", "CLIENT_ID": "9", "host": "8.8.8.8", "SYMBOLS": "X"}
    assert load_settings(environ=environ, root=tmp_path) == Settings()


def test_zero_is_a_value(tmp_path: Path) -> None:
    settings = load_settings(environ={"IBKR_CLIENT_ID": "0", "METRICS_PORT": "0"}, root=tmp_path, sim_seed=0)
    assert (settings.client_id, settings.check_client_id, settings.sim_seed, settings.metrics_port) == (0, 100, 0, 0)


def test_checks_use_a_client_id_of_their_own(tmp_path: Path) -> None:
    assert load_settings(environ={}, root=tmp_path, client_id=7).check_client_id == 107
    assert load_settings(environ={"IBKR_CHECK_CLIENT_ID": "5"}, root=tmp_path, client_id=7).check_client_id == 5


def test_words_for_no_number(tmp_path: Path) -> None:
    settings = load_settings(environ={"IBKR_PORT": "Auto", "METRICS_PORT": "OFF"}, root=tmp_path)
    assert (settings.port, settings.metrics_port) == (None, None)


@pytest.mark.parametrize("text", ["NVDA MSFT", "nvda,msft", " nvda , msft, NVDA "])
def test_symbols_are_upper_case_and_separated_as_people_like(tmp_path: Path, text: str) -> None:
    assert load_settings(environ={"IBKR_SYMBOLS": text}, root=tmp_path).symbols == ("NVDA", "MSFT")


def test_symbols_as_an_argument_may_be_a_list(tmp_path: Path) -> None:
    assert load_settings(environ={}, root=tmp_path, symbols=["spy", "BRK B"]).symbols == ("SPY", "BRK B")


def test_a_yaml_list_of_symbols_keeps_those_that_look_like_booleans(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("IBKR_SYMBOLS: [ON, NO, NVDA]\nIBKR_READ_ONLY: yes\n")
    settings = load_settings(environ={}, root=tmp_path)
    assert settings.symbols == ("ON", "NO", "NVDA")
    assert settings.read_only is True


@pytest.mark.parametrize("text", ["true", "True", "YES", "on", "1", "y"])
def test_booleans_as_people_write_them(tmp_path: Path, text: str) -> None:
    assert load_settings(environ={"IBKR_READ_ONLY": text}, root=tmp_path).read_only is True


def test_money_is_exact(tmp_path: Path) -> None:
    capital = load_settings(environ={"INITIAL_CAPITAL": "100000.10"}, root=tmp_path).initial_capital
    assert capital == Decimal("100000.10")


def test_a_relative_state_folder_belongs_to_the_project(tmp_path: Path) -> None:
    assert load_settings(environ={"IBKR_STATE_DIR": "state"}, root=tmp_path).state_dir == tmp_path / "state"
    assert load_settings(environ={"IBKR_STATE_DIR": "~/x"}, root=tmp_path).state_dir == Path.home() / "x"
    assert load_settings(environ={}, root=tmp_path, state_dir=Path("x")).state_dir == Path.cwd() / "x"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IBKR_HOST_IP", "127.0.0.1:7497"),
        ("IBKR_HOST_IP", "http://localhost"),
        ("IBKR_PORT", "65536"),
        ("IBKR_PORT", "-1"),
        ("IBKR_PORT", "paper"),
        ("IBKR_CLIENT_ID", "-1"),
        ("IBKR_CLIENT_ID", "1.5"),
        ("IBKR_BACKEND", "demo"),
        ("IBKR_LIBRARY", "ibapi"),
        ("IBKR_FALLBACK", "sometimes"),
        ("IBKR_ACCOUNT_TYPE", "real"),
        ("IBKR_READ_ONLY", "perhaps"),
        ("IBKR_MARKET_DATA_TYPE", "5"),
        ("IBKR_CONNECT_TIMEOUT", "0"),
        ("IBKR_PORT", "0"),
        ("IBKR_READ_TIMEOUT", "nan"),
        ("IBKR_ORDER_TIMEOUT", "inf"),
        ("IBKR_MAX_RECONNECT_ATTEMPTS", "-1"),
        ("IBKR_MAX_REQUESTS_PER_SECOND", "0"),
        ("IBKR_SYMBOLS", ",,"),
        ("IBKR_SYMBOLS", "$$$"),
        ("IBKR_ON_EXIT", "panic"),
        ("INITIAL_CAPITAL", "0"),
        ("INITIAL_CAPITAL", "NaN"),
        ("SIM_SEED", "-1"),
        ("SIM_PRESET", "perfect"),
        ("SIM_MARKET_HOURS", "24/7"),
        ("SIM_FEES", "tiered"),
        ("METRICS_PORT", "on"),
        ("DATA_SOURCE", "yahoo"),
        ("IBKR_HOST_IP", "5"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_setting_and_hides_the_value(
    tmp_path: Path, name: str, text: str
) -> None:
    env_file(tmp_path, f"# a comment\n{name}='{text}'\n")
    with pytest.raises(ConfigurationError, match=rf"^{name} \(\.env line 2\) must ") as caught:
        load_settings(environ={}, root=tmp_path)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "explicit",
    [
        {"client_id": True},
        {"client_id": "x"},
        {"port": True},
        {"read_timeout": True},
        {"host": ""},
        {"host": 5},
        {"symbols": [1]},
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, explicit: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{next(iter(explicit))} must "):
        load_settings(environ={}, root=tmp_path, **explicit)  # type: ignore[arg-type]  # none of these is `config`


def test_every_wrong_value_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"IBKR_PORT.*SIM_FEES") as caught:
        load_settings(environ={"IBKR_PORT": SECRET, "SIM_FEES": SECRET}, root=tmp_path)
    assert SECRET not in str(caught.value)


def test_an_argument_that_is_no_setting_is_a_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="prot"):
        load_settings(environ={}, root=tmp_path, prot=1)


def test_risk_limits_are_kept_as_written(tmp_path: Path) -> None:
    env_file(tmp_path, "RISK_MAX_ORDER_QTY=100\nRISK_MAX_DAILY_LOSS=500\n")
    (tmp_path / "config.yaml").write_text("RISK_HOURS: off\n")
    risk = load_settings(environ={"RISK_MAX_DAILY_LOSS": "250"}, root=tmp_path).risk
    assert risk == {"RISK_MAX_ORDER_QTY": "100", "RISK_MAX_DAILY_LOSS": "250", "RISK_HOURS": "off"}
    with pytest.raises(TypeError):
        risk["RISK_HOURS"] = "5"  # type: ignore[index]


def test_a_limit_that_there_is_not_is_an_error_wherever_it_stands(tmp_path: Path) -> None:
    """A limit that is misspelt would be none at all."""
    with pytest.raises(ConfigurationError, match=r"RISK_DAILY_LOSS \(the environment\).*RISK_MAX_DAILY_LOSS"):
        load_settings(environ={"RISK_DAILY_LOSS": "250"}, root=tmp_path)
    env_file(tmp_path, "RISK_MAX_QTY=5\n")
    with pytest.raises(ConfigurationError, match=r"RISK_MAX_QTY \(\.env line 1\)"):
        load_settings(environ={}, root=tmp_path)


def test_a_limit_that_cannot_be_meant_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RISK_MAX_ORDER_QTY must be shares above zero"):
        load_settings(environ={"RISK_MAX_ORDER_QTY": "-5"}, root=tmp_path)
    with pytest.raises(ConfigurationError, match="RISK_HOURS: a limit of real money cannot be lifted"):
        load_settings(environ={"RISK_HOURS": "off", "IBKR_ACCOUNT_TYPE": "live"}, root=tmp_path)


def test_credentials_are_accepted_and_kept_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written = "".join(f"{name}={SECRET}\n" for name in sorted(CREDENTIALS))
    env_file(tmp_path, written)
    (tmp_path / "config.yaml").write_text(written.replace("=", ": "))
    settings = load_settings(environ=dict.fromkeys(CREDENTIALS, SECRET), root=tmp_path)
    assert settings == Settings()
    assert SECRET not in repr(settings) + caplog.text


def test_the_value_of_a_credential_in_the_environment_is_never_looked_at(tmp_path: Path) -> None:
    class Watched(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            assert name not in CREDENTIALS
            return super().__getitem__(name)

    environ = Watched({"IB_PASSWORD": SECRET, "IBKR_CLIENT_ID": "3"})
    assert load_settings(environ=environ, root=tmp_path).client_id == 3


def test_account_ids_stay_out_of_the_repr(tmp_path: Path) -> None:
    settings = load_settings(environ={}, root=tmp_path, account_id="U1234567", allow_live="U1234567")
    assert "U1234567" not in repr(settings)


def test_importing_settings_loads_no_heavy_library() -> None:
    code = (
        "import sys; from src.settings import Settings, load_settings; "
        "print({'pydantic', 'yaml', 'dotenv', 'platformdirs'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_field_has_a_name_and_a_rule() -> None:
    own = {field.name for field in fields(Settings)} - {"risk", "given"}
    assert own == NAMES.keys()
    assert own == FIELDS


def test_the_example_file_names_every_setting_at_its_default(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    active = [line for line in example.splitlines() if line and not line.startswith("#")]
    assert active == ["IBKR_HOST_IP=auto"]
    lines = [line.removeprefix("# ") for line in example.splitlines()]
    settings = "\n".join(line for line in lines if line.split("=")[0] in {names[0] for names in NAMES.values()})
    assert {line.split("=")[0] for line in settings.splitlines()} == {names[0] for names in NAMES.values()}
    env_file(tmp_path, settings)
    assert load_settings(environ={}, root=tmp_path) == Settings()
