"""Price files load whole, or are refused by file, line, column and what was expected."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from src.domain.errors import ConfigurationError, DataFileError
from src.runtime.files import Recording, find, load, symbol_of

SECOND = 10**9
DAY = 86_400 * SECOND
START = 1_549_895_400 * SECOND  # 2019-02-11T14:30:00Z
HEADER = "time,open,high,low,close,volume"
ROW = "2019-02-11T14:30:00Z,106.075,106.23,106,106.23,469145"
NEXT = "2019-02-11T14:31:00Z,106.2,106.21,106.06,106.21,59089"
QUOTES = "time,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")


def write(folder: Path, *lines: str, name: str = "MSFT.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def closes(recording: Recording, symbol: str = "MSFT") -> list[float]:
    return [float(close) for close in recording.bars[symbol].close]


def test_trade_bars_load_as_they_stand(tmp_path: Path) -> None:
    recording = load([write(tmp_path, HEADER, ROW, NEXT)])
    bars = recording.bars["MSFT"]
    assert (recording.symbols, recording.bar_count) == (("MSFT",), 2)
    assert (recording.start, recording.end) == (START, START + 120 * SECOND)
    assert (bars.seconds, bars.start.tolist()) == (60, [START, START + 60 * SECOND])
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (
        106.075,
        106.23,
        106,
        106.23,
        469145,
    )


def test_columns_come_in_any_order_and_case_among_others_and_with_spaces_and_blank_lines(tmp_path: Path) -> None:
    lines = (" Volume ,CLOSE,note,Low,High,Open,Time", "", '1,2,"a, b",1.5,2.5, 2 ,2019-02-11T14:30:00Z', "")
    bars = load([write(tmp_path, *lines)]).bars["MSFT"]
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (2, 2.5, 1.5, 2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "2019-02-11T14:30:00Z", "2019-02-11T14:30:00", "2019-02-11 14:30:00+00:00", "2019-02-11T09:30:00-05:00",
        "2019-02-11T14:30:00.000Z", "1549895400", "1549895400000", "1549895400000000", "1549895400000000000",
    ],
)  # fmt: skip
def test_times_are_iso_or_epoch_numbers_and_naive_means_utc(tmp_path: Path, text: str) -> None:
    assert load([write(tmp_path, HEADER, f"{text},1,1,1,1,0")]).start == START


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("s", "America/New_York"), pa.int64(), pa.string()],
)
def test_parquet_loads_like_csv(tmp_path: Path, kind: pa.DataType) -> None:
    times = pa.array([START // SECOND, START // SECOND + 60], pa.int64())
    if pa.types.is_string(kind):
        times = pa.array(["2019-02-11T14:30:00Z", "2019-02-11T14:31:00Z"])
    elif pa.types.is_timestamp(kind):
        times = (
            times.cast(pa.timestamp("s")).cast(kind)
            if kind.tz is None
            else times.cast(pa.timestamp("s", kind.tz)).cast(kind)
        )
    prices = pa.array([106.25, 106.5])
    columns = {
        "Time": times,
        "open": prices,
        "high": prices,
        "low": prices,
        "close": prices.cast(pa.decimal128(9, 2)),
        "volume": pa.array([1, 2]),
    }
    pq.write_table(pa.table(columns), tmp_path / "MSFT.parquet")
    recording = load([tmp_path / "MSFT.parquet"])
    assert (recording.start, closes(recording)) == (START, [106.25, 106.5])


@pytest.mark.parametrize("text", ["2019-02-11", "20190211", "2019-02-11 00:00:00", "2019-02-11T00:00:00Z"])
def test_a_dates_bar_is_its_regular_session(tmp_path: Path, text: str) -> None:
    recording = load([write(tmp_path, HEADER.replace("time", "date"), f"{text},1,1,1,1,0")])
    assert (recording.bars["MSFT"].seconds, recording.start, recording.end) == (
        86_400,
        START,
        START + 6 * 3600 * SECOND + 1800 * SECOND,
    )


def test_days_stamped_at_midnight_are_dates(tmp_path: Path) -> None:
    rows = [f"2019-02-{day}T00:00:00Z,1,1,1,1,0" for day in (11, 12, 15)]
    bars = load([write(tmp_path, HEADER, *rows)]).bars["MSFT"]
    assert bars.start.tolist() == [START, START + DAY, START + 4 * DAY]


def test_a_bar_is_as_long_as_the_smallest_gap_and_a_lone_one_a_minute(tmp_path: Path) -> None:
    rows = [f"2019-02-11T{clock}:00Z,1,1,1,1,0" for clock in ("14:30", "15:00", "15:05", "16:00")]
    assert load([write(tmp_path, HEADER, *rows)]).bars["MSFT"].seconds == 300
    assert load([write(tmp_path, HEADER, rows[0])]).bars["MSFT"].seconds == 60


def test_files_of_one_symbol_are_joined_by_time_whatever_their_order(tmp_path: Path) -> None:
    second = write(tmp_path, HEADER, NEXT, name="MSFT_a.csv")
    first = write(tmp_path, HEADER, ROW, name="MSFT_b.csv")
    assert closes(load([second, first, second])) == [106.23, 106.21]
    assert closes(load([tmp_path, first])) == [106.23, 106.21]


def test_overlapping_files_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, HEADER, ROW, NEXT, name="MSFT_a.csv")
    write(tmp_path, HEADER, NEXT, name="MSFT_b.csv")
    with pytest.raises(DataFileError, match=r"MSFT_b\.csv.*column time.*MSFT_a\.csv"):
        load([tmp_path])


def test_a_folder_is_its_price_files_or_those_of_its_minute_folders(tmp_path: Path) -> None:
    write(tmp_path, HEADER, ROW, name="minute/MSFT.csv")
    write(tmp_path, "not a price file", name="minute/README.md")
    write(tmp_path, QUOTES, "2019-02-11T14:30:00Z,1,1,1,1,100,2,2,2,2,100", name="quote_minute/MSFT.csv")
    recording = load([tmp_path])
    assert closes(recording) == [106.23]
    assert list(recording.quotes) == ["MSFT"]
    assert list(load([tmp_path / "minute"]).quotes) == []


def test_symbols_are_chosen_in_the_order_asked_and_other_files_stay_unread(tmp_path: Path) -> None:
    for symbol in ("AAPL", "MSFT"):
        write(tmp_path, HEADER, ROW, name=f"{symbol}.csv")
    write(tmp_path, "rubbish", name="BAD.csv")
    assert load([tmp_path], ["msft", "AAPL", "MSFT"]).symbols == ("MSFT", "AAPL")
    with pytest.raises(ConfigurationError, match=r"NVDA.*AAPL, BAD, MSFT"):
        load([tmp_path], ["NVDA"])


@pytest.mark.parametrize(
    ("name", "symbol"), [("MSFT.csv", "MSFT"), ("msft_2019-02-11.csv", "MSFT"), ("BRK.B.parquet", "BRK.B")]
)
def test_a_file_is_named_after_its_symbol(name: str, symbol: str) -> None:
    assert symbol_of(Path(name)) == symbol


@pytest.mark.parametrize("name", ["2019-02-11.csv", "_x.csv", "a+b.csv", "averyveryverylongname.csv"])
def test_a_file_without_a_symbol_in_its_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataFileError, match="symbol"):
        find([write(tmp_path, HEADER, ROW, name=name)])


def bar(line: str) -> tuple[str, ...]:
    return HEADER, ROW, line


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), "expected a header line, found an empty file"),
        ((HEADER,), "expected at least one row below the header"),
        ((ROW, NEXT), r"line 1, column time: .*found no header: 2019-02-11t14:30:00z"),
        (("time,open,high,low,volume", "2019-02-11T14:30:00Z,1,1,1,1"), "column close: missing; expected a header"),
        (("open,high,low,close,volume", "1,1,1,1,1"), "line 1, column time: missing"),
        (("time,open,Open,high,low,close,volume", "1,1,1,1,1,1,1"), "line 1, column open: expected each column once"),
        (bar("2019-02-11T14:31:00Z,1,1,1,1"), "line 3: expected 6 comma-separated fields, found 5"),
        (bar("2019-02-11T14:31:00Z,1,1,1,1,1,1"), "line 3: expected 6 comma-separated fields, found 7"),
        (bar("2019-02-11T14:31:00Z,abc,1,1,1,1"), "line 3, column open: expected a number, found 'abc'"),
        (bar("2019-02-11T14:31:00Z,1_0,1,1,1,1"), "line 3, column open: expected a number, found '1_0'"),
        (bar("2019-02-11T14:31:00Z,1,,1,1,1"), "line 3, column high: expected a finite number, found nothing"),
        (bar("2019-02-11T14:31:00Z,1,nan,1,1,1"), "line 3, column high: expected a finite number, found 'nan'"),
        (bar("2019-02-11T14:31:00Z,1,inf,1,1,1"), "line 3, column high: expected a finite number, found 'inf'"),
        (bar("2019-02-11T14:31:00Z,1,1,0,1,1"), "low: expected a price from 0.0001 to 10,000,000 dollars, found 0"),
        (bar("2019-02-11T14:31:00Z,1,1,-1,1,1"), "line 3, column low: expected a price from 0.0001 to.*found -1"),
        (bar("2019-02-11T14:31:00Z,1,1e300,1,1,1"), "line 3, column high: expected a price from 0.0001.*found 1e.300"),
        (bar("2019-02-11T14:31:00Z,1,1,0.00001,1,1"), "line 3, column low: expected a price from 0.0001.*found 1e-05"),
        (bar("2019-02-11T14:31:00Z,2,1,3,2,1"), "line 3, column open: expected at most high 1, found 2"),
        (bar("2019-02-11T14:31:00Z,3,3,4,3,1"), "line 3, column open: expected at least low 4, found 3"),
        (bar("2019-02-11T14:31:00Z,2,3,1,4,1"), "line 3, column close: expected at most high 3, found 4"),
        (bar("2019-02-11T14:31:00Z,2,3,1,0.5,1"), "line 3, column close: expected at least low 1, found 0.5"),
        (bar("2019-02-11T14:31:00Z,2,2,2,2,-5"), "line 3, column volume: expected shares, zero or more, found -5"),
        (bar("2019-02-11T14:30:00Z,2,2,2,2,1"), "line 3, column time: expected times in ascending order.*the same as"),
        (bar("2019-02-11T14:29:00Z,2,2,2,2,1"), "line 3, column time: expected times in ascending order.*earlier than"),
        (bar("yesterday,2,2,2,2,1"), "line 3, column time: expected an ISO time.*found 'yesterday'"),
        (bar("2019-02-30T14:30:00Z,2,2,2,2,1"), "line 3, column time: expected an ISO time.*found '2019-02-30"),
        (bar("9019-02-11T14:30:00Z,2,2,2,2,1"), "line 3, column time: expected an ISO time.*found '9019"),
        (bar("2200-01-01T00:01:00Z,2,2,2,2,1"), "line 3, column time: expected .*from 1980 to 2199.*found '2200"),
        (bar("1979-12-31T23:59:00Z,2,2,2,2,1"), "line 3, column time: expected .*from 1980 to 2199.*found '1979"),
        (bar("noon,2,2,2,2,1"), "whole seconds, milliseconds, microseconds or nanoseconds since 1970"),
        (bar("2019-02-11T14:37:00Z,2,2,2,2,1"), "line 3, column time: expected bars of a regular length.*420 seconds"),
        ((HEADER, "2019-02-11T14:30:00Z,2,2,2,2,1", "", "2019-02-11T14:40:00Z,2,2,2,2,1",
          "2019-02-11T14:41:30Z,2,2,2,2,1"), "line 5, column time: expected bars of a regular length.*90 seconds"),
        ((HEADER.replace(",", ";"), ROW.replace(",", ";")), "line 1: expected fields separated by comma.*semicolons"),
        ((HEADER.replace(",", "\t"), ROW.replace(",", "\t")), "line 1: expected fields separated by commas.*tabs"),
        (bar("2019-02-11T14:31:00Z,1,5,1,5,1,5,1,5,1"), "line 3: expected 6 comma.*found 10; decimals take a point"),
        (bar('2019-02-11T14:31:00Z,"1,5",1,1,1,1'), "column open: .*found '1,5'; decimals take a point"),
        ((HEADER.replace("time", "date"), "9019-02-11,2,2,2,2,1"), "line 2, column date: .*before 2200"),
        ((QUOTES, "2019-02-11T14:30:00Z,2,2,2,2,1,2e7,2e7,2e7,2e7,1"), "column ask_open: expected a price from"),
        ((QUOTES, "2019-02-11T14:30:00Z,2,2,1e-9,2,1,,,,,"), "column bid_low: expected a price from 0.0001 to"),
        ((HEADER, "", "x,2,2,2,2,1"), "line 3, column time"),
        ((HEADER, "20190211,2,2,2,2,1"), "line 2, column time: expected an ISO time"),
        ((HEADER, "99999999999999999999,2,2,2,2,1"), "line 2, column time: expected an ISO time"),
        ((HEADER.replace("time", "date"), "11.02.2019,2,2,2,2,1"), "line 2, column date: expected a date"),
        ((HEADER.replace("time", "date"), "2019-02-11T14:30,2,2,2,2,1"), "line 2, column date: expected a date"),
        ((HEADER, ROW, '2019-02-11T14:31:00Z,"2,2,2,2,1'), "line 3: expected one row a line, found a quoted"),
        ((HEADER, '"2019', '-02",2,2,2,2,1'), "line 2: expected one row a line, found a quoted field that runs over"),
        ((HEADER, ROW, '"2019"-02,2,2,2,2,1'), "line 3: expected comma-separated values: .* expected after"),
        ((QUOTES.replace("ask_low,", ""), "x" + ",1" * 9), "line 1, column ask_low: missing"),
        ((QUOTES, "2019-02-11T14:30:00Z,2,1,2,2,1,,,,,"), "column bid_open: expected at most bid_high 1, found 2"),
        ((QUOTES, "2019-02-11T14:30:00Z,2,2,2,2,x,,,,,"), "line 2, column bid_size: expected a number, found 'x'"),
        ((QUOTES, "2019-02-11T14:30:00Z,2,2,2,2,1,,,,,"), "expected at least one quote with both sides"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_by_line_column_and_expectation(
    tmp_path: Path, lines: tuple[str, ...], expected: str
) -> None:
    path = write(tmp_path, *lines)
    with pytest.raises(DataFileError, match=expected) as caught:
        load([path])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("MSFT.csv", f"{HEADER}\n{ROW}\nM\xfcnchen".encode("latin-1"), "line 3: expected UTF-8 text, found byte 0xfc"),
        ("MSFT.csv", HEADER.encode("utf-16"), "line 1: expected UTF-8 text, found UTF-16"),
        ("MSFT.csv", f"{HEADER}\n\0\0\0".encode(), "line 2: expected UTF-8 text, found binary data"),
        ("MSFT.csv", gzip.compress(HEADER.encode(), mtime=0), "expected UTF-8 text"),
        ("MSFT.parquet", b"", "expected a Parquet file"),
        ("MSFT.parquet", f"{HEADER}\n{ROW}\n".encode(), "expected a Parquet file"),
        ("MSFT.parquet", b"PAR1" + bytes(40) + b"PAR1", "expected a Parquet file"),
        ("MSFT.xlsx", b"PK", r"expected a file ending in \.csv or \.parquet"),
        ("MSFT", b"x", r"expected a file ending in \.csv or \.parquet"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=expected):
        load([tmp_path / name])


def test_absent_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        load([tmp_path / "MSFT.csv"])
    with pytest.raises(DataFileError, match="expected a folder with files"):
        load([tmp_path])
    with pytest.raises(ConfigurationError, match="no price file"):
        load([])


def test_a_utf8_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    (tmp_path / "MSFT.csv").write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{ROW}\r\n".encode())
    assert closes(load([tmp_path])) == [106.23]


def test_a_missing_parquet_value_is_refused_by_its_row(tmp_path: Path) -> None:
    times = pa.array([START, None], pa.timestamp("ns"))
    prices = pa.array([1.0, 1.0])
    columns = {"time": times, "open": prices, "high": prices, "low": prices, "close": prices, "volume": prices}
    pq.write_table(pa.table(columns), tmp_path / "MSFT.parquet")
    with pytest.raises(DataFileError, match="row 2, column time"):
        load([tmp_path])
    columns |= {"time": pa.array([START, START + 60 * SECOND]), "close": pa.array([1.0, None])}
    pq.write_table(pa.table(columns), tmp_path / "MSFT.parquet")
    with pytest.raises(DataFileError, match="row 2, column close: expected a finite number, found nothing"):
        load([tmp_path])


@pytest.mark.parametrize(("first", "last", "ratio"), [(645.57, 92.42, 7), (10, 5.05, 2), (5, 100, 20), (30, 10.1, 3)])
def test_a_bar_that_looks_like_a_split_is_warned_of_once_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: float, last: float, ratio: int
) -> None:
    low, high = sorted((first, last))
    rows = [f"2019-02-11T14:{minute}:00Z,{first},{high},{low},{last},1" for minute in (30, 31)]
    with caplog.at_level(logging.WARNING):
        recording = load([write(tmp_path, HEADER, *rows)])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert all(text in caplog.text for text in ("MSFT", "2019-02-11T14:30:00Z", "line 2", f"{ratio}:1"))
    assert closes(recording) == [last, last]


def test_a_night_over_which_a_price_splits_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The usual case: 645.57 at the close, 92.69 at the open. Further ones of the file stand in the same warning."""
    rows = ["2014-06-05,640,650,640,647,1", "2014-06-06,648,650,645,645.57,1", "2014-06-09,92.69,94,92,93.7,1"]
    later = ["2020-08-28,500,505,498,499.23,1", "2020-08-31,127.58,131,126,129,1"]
    recording = load([write(tmp_path, HEADER.replace("time", "date"), *rows, *later, name="AAPL.csv")])
    [record] = caplog.records
    message = record.getMessage()
    assert "line 4: AAPL at 2014-06-09 opens at 92.69 after a close of 645.57, as in a 7:1 split" in message
    assert "2020-08-31" in message
    assert "nothing was adjusted" in message
    assert closes(recording, "AAPL")[:3] == [647, 645.57, 93.7]


def test_a_split_between_two_files_is_warned_of_in_the_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file for each day, whatever the order in which they are named."""
    later = write(tmp_path, HEADER, "2014-06-09T13:30:00Z,92.69,94,92,93.7,1", name="AAPL_2014-06-09.csv")
    write(tmp_path, HEADER, "2014-06-06T19:59:00Z,648,650,645,645.57,1", name="AAPL_2014-06-06.csv")
    load([later, tmp_path])
    [record] = caplog.records
    assert f"{later}, line 2: AAPL at 2014-06-09T13:30:00Z opens at 92.69" in record.getMessage()


def test_large_moves_that_are_no_split_are_not_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load([write(tmp_path, HEADER, "2019-02-11T14:30:00Z,100,100,60,60,1", "2019-02-11T14:31:00Z,60,140,60,140,1")])
    assert caplog.records == []


def test_a_link_to_nowhere_is_refused_by_name(tmp_path: Path) -> None:
    """A file that is not there, and a link to itself: half the prices are no prices."""
    write(tmp_path, HEADER, ROW, name="AAPL.csv")
    (tmp_path / "MSFT.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(DataFileError, match=r"MSFT\.csv: .*leads to no file"):
        find([tmp_path])
    (tmp_path / "MSFT.csv").unlink()
    (tmp_path / "MSFT.csv").symlink_to("MSFT.csv")
    with pytest.raises(DataFileError, match=r"MSFT\.csv: .*leads to no file"):
        find([tmp_path])
    with pytest.raises(DataFileError, match=r"MSFT\.csv"):
        load([tmp_path / "MSFT.csv"])
    (tmp_path / "MSFT.csv").unlink()
    (tmp_path / "MSFT.csv").symlink_to(tmp_path / "AAPL.csv")
    (tmp_path / "notes.csv").mkdir()
    assert list(find([tmp_path])) == ["AAPL"]


def test_nothing_is_half_loaded(tmp_path: Path) -> None:
    write(tmp_path, HEADER, ROW, name="AAPL.csv")
    write(tmp_path, HEADER, ROW, "x", name="MSFT.csv")
    with pytest.raises(DataFileError, match=r"MSFT\.csv, line 3"):
        load([tmp_path])


@needs_shared_data
def test_the_real_files_load_whole(caplog: pytest.LogCaptureFixture) -> None:
    recording = load([SHARED / "minute", SHARED / "quote_minute"])
    assert recording.symbols == ("AAPL", "GOOG", "MSFT", "SPY")
    assert list(recording.quotes) == ["AAPL", "GOOG", "SPY"]
    assert {bars.seconds for bars in recording.bars.values()} == {60}
    assert recording.bar_count == sum(
        len(path.read_text().splitlines()) - 1 for path in (SHARED / "minute").glob("*.csv")
    )
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "AAPL at 2014-06-09T08:00:00Z" in caplog.text


@needs_shared_data
def test_the_real_splits_are_warned_of_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    load([SHARED / "daily"])
    [record] = caplog.records
    told = record.getMessage()
    assert "AAPL at 2000-06-21 opens at 50.5 after a close of 101, as in a 2:1 split" in told
    assert "the same at 2005-02-28, 2014-06-09, 2020-08-31; nothing" in told


@needs_shared_data
def test_the_real_daily_files_are_sessions_in_new_york() -> None:
    bars = load([SHARED / "daily"]).bars["SPY"]
    assert bars.seconds == 86_400
    assert set(((bars.end - bars.start) // SECOND).tolist()) == {23_400}
    assert set(((bars.start % DAY) // (SECOND * 1800)).tolist()) == {27, 29}  # 13:30 and 14:30 UTC
    assert bool(np.all(bars.low <= bars.close))
