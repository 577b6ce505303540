"""A strategy is found by name, its options by its constructor; what is wrong is said in one line that names it."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.trading.sma import MovingAverageCross
from src.trading.strategy import SHIPPED, load_strategy, parse_options

GOOD = """
from __future__ import annotations
from decimal import Decimal

class Mine:
    warm_up = 3

    def __init__(self, *, share: Decimal, count: int = 2, ratio: float | None = 0.5, loud: bool = False, name="x"):
        self.got = (share, count, ratio, loud, name)

    def on_bar(self, bar, portfolio):
        return ()

    def explain(self):
        return ""

class NoBar:
    pass

class NoWords:
    def on_bar(self, bar, portfolio):
        return ()

class Odd:
    warm_up = 0
    def __init__(self, path: list = ()):
        raise RuntimeError("no\\nsuch luck")
    def on_bar(self, bar, portfolio):
        return ()
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with a user's module in it."""
    (tmp_path / "understudy_mine.py").write_text(GOOD)
    (tmp_path / "understudy_broken.py").write_text("def on_bar(:\n")
    (tmp_path / "understudy_needy.py").write_text("import understudy_not_there\n")
    (tmp_path / "understudy_quits.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("warm_up", ["None", "'10'", "-1", "True", "2.5", "property(lambda self: 1 / 0)"])
def test_a_history_that_is_no_number_of_bars_is_refused(modules: Path, warm_up: str) -> None:
    """With the strategy's name, before the session begins."""
    source = f"""
class Cold:
    warm_up = {warm_up}
    def on_bar(self, bar, portfolio):
        return ()
    def explain(self):
        return ""
"""
    name = f"understudy_cold{abs(hash(warm_up))}"
    (modules / f"{name}.py").write_text(source)
    with pytest.raises(ConfigurationError, match=f"strategy {name}:Cold: warm_up must be a whole number of bars"):
        load_strategy(f"{name}:Cold")


def test_a_strategy_that_knows_what_is_wrong_says_it_in_its_own_words(modules: Path) -> None:
    """Without a path of ours."""
    with pytest.raises(ConfigurationError) as caught:
        load_strategy("sma", {"fast": "60"})
    assert str(caught.value) == "strategy sma cannot be made: sma needs 0 < fast < slow, not fast=60, slow=50"


def test_a_constructor_that_exits_is_named(modules: Path) -> None:
    """It does not take the process with it."""
    (modules / "understudy_leaves.py").write_text(GOOD.replace('RuntimeError("no\\nsuch luck")', "SystemExit(3)"))
    with pytest.raises(ConfigurationError, match="understudy_leaves:Odd cannot be made: SystemExit: 3"):
        load_strategy("understudy_leaves:Odd")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_strategy_loads_and_explains_itself(name: str) -> None:
    """By its short name, without options."""
    strategy = load_strategy(name)
    assert strategy.warm_up >= 0
    assert strategy.explain() == "no bar yet"


def test_options_become_what_the_constructor_says(modules: Path) -> None:
    """By annotation, also as text, of a union, or by the default's type."""
    options = {"share": "0.1", "count": "7", "ratio": "none", "loud": "Yes", "name": "y"}
    strategy = load_strategy("understudy_mine:Mine", options)
    assert strategy.got == (Decimal("0.1"), 7, None, True, "y")  # type: ignore[attr-defined]  # the user's own
    slow = load_strategy("sma", {"slow": "20"})
    assert isinstance(slow, MovingAverageCross)
    assert slow.warm_up == 19


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("smma", {}, "no strategy is called 'smma': use sma, hold, or your own as package.module:ClassName"),
        ("nowhere.at_all:Mine", {}, "there is no module nowhere: put it beside live_trader.py or on PYTHONPATH"),
        ("understudy_mine:Yours", {}, "has no class Yours: it has Mine, NoWords, Odd"),
        ("understudy_mine:NoBar", {}, r"NoBar has no method on_bar\(bar, portfolio\)"),
        ("understudy_mine:NoWords", {}, "needs `warm_up`"),
        ("understudy_mine:Mine", {}, "needs its option share: --strategy-option share="),
        ("understudy_mine:Mine", {"share": "much"}, "option share: expected a number, not 'much'"),
        ("understudy_mine:Mine", {"share": "1", "loud": "perhaps"}, "option loud: expected true or false"),
        ("understudy_mine:Odd", {"path": "x"}, "option path is a list, which cannot be written as text"),
        ("understudy_mine:Odd", {}, r"cannot be made: RuntimeError: no such luck \(.*understudy_mine.py, line \d+\)"),
        ("understudy_broken:Mine", {}, r"importing understudy_broken failed: SyntaxError: .*line 1\)"),
        ("understudy_needy:Mine", {}, "understudy_needy imports understudy_not_there, which is missing"),
        ("understudy_quits:Mine", {}, "importing understudy_quits failed: SystemExit"),
        ("sma", {"fats": "3"}, "strategy sma has no option fats: it has fast, slow"),
        ("sma", {"fast": "3.5"}, "strategy sma, option fast: expected a whole number, not '3.5'"),
        ("sma", {"fast": "60"}, "0 < fast < slow"),
        ("hold", {"x": "1"}, "strategy hold has no option x: it has none"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(modules: Path, name: str, options: dict[str, str], says: str) -> None:
    """Each mistake by its own name, with what to do."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        load_strategy(name, options)
    assert "\n" not in str(caught.value)


def test_options_are_written_name_equals_value() -> None:
    """The value may hold an equals sign; a missing one is an error."""
    assert parse_options(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    for wrong in ("fast", "=3", " =3"):
        with pytest.raises(ConfigurationError, match="name=value"):
            parse_options([wrong])
