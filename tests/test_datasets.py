import contextlib
import csv
import gzip
import http.server
import os
import socket
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from skae import datasets
from skae.datasets import _COLUMNS, _TEXT, fetch_weather_aus, get_data_home


def table(n_rows=40):
    """Lines of a small table in the layout of the file, with gaps and the column to ignore."""
    rows = []
    for i in range(n_rows):
        row = {name: f"{i + j}.5" for j, name in enumerate(_COLUMNS)}
        row |= dict.fromkeys(_TEXT, "W") | {"Date": "2008-12-01", "Location": "Albury"}
        row |= {
            "RainToday": "Yes" if i % 3 else "No",
            "RISK_MM": "3.6",
            "RainTomorrow": "No" if i % 4 else "Yes",
        }
        rows.append(row)
    rows[0]["Sunshine"] = "NA"
    rows[1]["WindDir9am"] = "NA"
    rows[2]["RainTomorrow"] = "NA"
    return rows


def as_csv(rows):
    lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weatherAUS.csv").write_bytes(as_csv(table()))
    return tmp_path


def test_arrays(folder):
    X, y = fetch_weather_aus(data_home=folder, return_X_y=True)
    # of 40 rows, one has a gap in a number and one no target; a missing text does not count
    assert X.shape == (38, 17)
    assert X.dtype == np.float64
    assert set(y) == {0, 1}
    assert y.dtype == np.int64


def test_bunch(folder):
    bunch = fetch_weather_aus(data_home=folder)
    assert bunch.data.shape == (38, 17)
    assert bunch.feature_names[-1] == "RainToday"
    assert bunch.target_names == ["No", "Yes"]
    assert bunch.frame is None
    assert set(bunch.data[:, -1]) == {0.0, 1.0}


def test_gaps_are_kept_if_asked_for(folder):
    X, y = fetch_weather_aus(data_home=folder, return_X_y=True, complete_rows=False)
    assert X.shape == (40, 17)
    assert np.isnan(X).sum() == 1
    assert np.isnan(y).sum() == 1


def test_frames_and_all_columns(folder):
    bunch = fetch_weather_aus(data_home=folder, as_frame=True, columns="all")
    assert bunch.frame.shape == (37, 23)
    assert list(bunch.data.columns) == list(_COLUMNS)
    assert (bunch.data["WindDir9am"] == "W").all()
    X, y = fetch_weather_aus(
        data_home=folder, as_frame=True, return_X_y=True, complete_rows=False, columns="all"
    )
    assert X["WindDir9am"].isna().sum() == 1
    assert y.name == "RainTomorrow"


def test_wrong_requests():
    with pytest.raises(ValueError, match="columns must be"):
        fetch_weather_aus(columns="some")
    with pytest.raises(ValueError, match="as_frame=True"):
        fetch_weather_aus(columns="all")


def test_compressed_files_are_read(tmp_path):
    (tmp_path / "weatherAUS.csv.gz").write_bytes(gzip.compress(as_csv(table())))
    assert fetch_weather_aus(data_home=tmp_path).data.shape == (38, 17)


def test_offline_says_where_to_get_it(tmp_path):
    with pytest.raises(OSError, match=r"download_if_missing=False. Put weatherAUS.csv .* into"):
        fetch_weather_aus(data_home=tmp_path, download_if_missing=False)


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKAE_DATA_HOME", str(tmp_path / "here"))
    assert get_data_home() == tmp_path / "here"
    assert (tmp_path / "here").is_dir()


class Server:
    """A real HTTP server on loopback that gives one answer."""

    def __init__(self, body, status=200, announced=None):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests += 1
                self.send_response(status)
                self.send_header("Content-Length", str(announced or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.requests = 0
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/weatherAUS.csv"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve(monkeypatch):
    servers = []

    def start(*args, server=Server, **kwargs):
        servers.append(server(*args, **kwargs))
        monkeypatch.setattr(datasets, "_N_ROWS", 40)
        monkeypatch.setattr(datasets, "WEATHER_AUS_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_download_once(serve, tmp_path):
    server = serve(as_csv(table()))
    assert fetch_weather_aus(data_home=tmp_path).data.shape == (38, 17)
    assert fetch_weather_aus(data_home=tmp_path).data.shape == (38, 17)
    assert server.requests == 1
    assert [path.name for path in tmp_path.iterdir()] == ["weatherAUS.csv"]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"body": as_csv(table())[:-100], "announced": len(as_csv(table()))}, OSError, "ended after"),
        ({"body": as_csv(table())[:-30]}, ValueError, "cut off: line 41 is incomplete"),
        # cut at the end of a line, which is a table as well
        ({"body": as_csv(table(39))}, OSError, "ended after 39 of 40 rows; nothing was kept.* Put weather"),
        ({"body": as_csv(table()).replace(b"0.5", b"half")}, ValueError, "not weatherAUS: .*half"),
        ({"body": b"<html>moved</html>"}, ValueError, "not weatherAUS: it has no column Date"),
        ({"body": b"\xff\xfe\x00"}, ValueError, "not a table"),
        ({"body": as_csv(table()).splitlines()[0] + b"\n"}, ValueError, "it has no rows"),
        ({"body": b"gone", "status": 404}, OSError, "could not be downloaded .*404.* Put weatherAUS.csv"),
    ],
)
def test_a_bad_answer_leaves_nothing_behind(serve, tmp_path, answer, error, message):
    serve(**answer)
    with pytest.raises(error, match=message):
        fetch_weather_aus(data_home=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unreachable_server(serve, tmp_path):
    serve(b"").close()
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch_weather_aus(data_home=tmp_path)


class Garbled:
    """A server that sends bytes of its own making, and hangs up."""

    def __init__(self, said):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/weatherAUS.csv"
        threading.Thread(target=self.answer, args=(said,), daemon=True).start()

    def answer(self, said):
        with contextlib.suppress(OSError):
            connection, _ = self.socket.accept()
            with connection:
                connection.recv(2**16)
                connection.sendall(said)

    def close(self):
        self.socket.close()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nDate,",  # IncompleteRead
        b"no answer at all\r\n\r\n",  # BadStatusLine
        b"",  # RemoteDisconnected
        b"HTTP/1.1 200 OK\r\n" + b"X: " + 70_000 * b"x" + b"\r\n\r\n",  # LineTooLong
        b"HTTP/1.1 302 Found\r\nLocation: gopher://nowhere\r\n\r\n",
    ],
)
def test_whatever_a_server_says_ends_in_the_documented_error(serve, tmp_path, said):
    serve(said, server=Garbled)
    with pytest.raises(OSError, match=r"could not be downloaded \(.+\)\. Put weatherAUS.csv"):
        fetch_weather_aus(data_home=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_length_that_is_no_number_does_not_matter(serve, tmp_path):
    serve(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + as_csv(table()), server=Garbled)
    assert fetch_weather_aus(data_home=tmp_path).data.shape == (38, 17)


def test_an_endless_answer_is_not_kept(serve, tmp_path, monkeypatch):
    serve(as_csv(table()))
    monkeypatch.setattr(datasets, "_MOST_BYTES", 1000)
    with pytest.raises(OSError, match="longer than 1,000 bytes"):
        fetch_weather_aus(data_home=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted on Linux")
def test_failed_downloads_leave_no_file_open(serve, tmp_path):
    serve(b"").close()
    n_open = []
    for _ in range(3):
        with pytest.raises(OSError, match="could not be downloaded"):
            fetch_weather_aus(data_home=tmp_path)
        n_open.append(len(list(Path("/proc/self/fd").iterdir())))
    assert n_open[1:] == n_open[:1] * 2


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_permissions_follow_the_umask(serve, tmp_path, mask):
    serve(as_csv(table()))
    before = os.umask(mask)
    try:
        fetch_weather_aus(data_home=tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "weatherAUS.csv").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("damage", [b"no gzip", "cut", "flipped"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    packed = bytearray(gzip.compress(as_csv(table(200))))
    if damage == "cut":
        packed = packed[:-100]
    elif damage == "flipped":
        packed[40:60] = bytes(20)
    else:
        packed = damage
    path = tmp_path / "weatherAUS.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"weatherAUS.csv.gz is not a table"):
        fetch_weather_aus(data_home=tmp_path)


def test_the_real_file(weather):
    X, y = weather
    assert X.shape == (58090, 17)
    assert y.mean() == pytest.approx(0.2191, abs=1e-4)


def test_rows_are_written_as_csv_reads_them():
    lines = as_csv(table()).decode().splitlines()
    assert len({len(row) for row in csv.reader(lines)}) == 1
