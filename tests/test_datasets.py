import csv
import gzip
import http.server
import threading

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

    def start(*args, **kwargs):
        servers.append(Server(*args, **kwargs))
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


def test_the_real_file(weather):
    X, y = weather
    assert X.shape == (58090, 17)
    assert y.mean() == pytest.approx(0.2191, abs=1e-4)


def test_rows_are_written_as_csv_reads_them():
    lines = as_csv(table()).decode().splitlines()
    assert len({len(row) for row in csv.reader(lines)}) == 1
