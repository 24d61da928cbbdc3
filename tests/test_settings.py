"""Settings: what overrules what, and what a typing error says."""

from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dfd_core.environment import environment_of, load_settings, load_streams, parse_assignments
from dfd_core.errors import SettingsError
from dfd_core.judging.calibration import read_thresholds
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.settings import Settings, known_keys
from dfd_core.streams import read_streams
from workers.monitor.outside import check_outside
from workers.serve.tokens import TokenBook


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "dfd.toml"
    path.write_text('[video]\nsample_fps = 4\nrtsp_transport = "udp"\n[verdict]\nenter = 0.7\nexit = 0.2\n')
    return path


def test_defaults_stand_alone() -> None:
    assert load_settings(environ={}) == Settings()
    assert load_settings(environ={"PATH": "/bin", "HOME": "/"}) == Settings()


def test_file_then_environment_then_flags(toml: Path) -> None:
    assert load_settings(toml, environ={}).video.sample_fps == 4.0
    environ = {"DFD_VIDEO_SAMPLE_FPS": "5", "DFD_VERDICT_ENTER": "0.8"}
    loaded = load_settings(toml, {"video.sample_fps": "6"}, environ)
    assert loaded.video.sample_fps == 6.0
    assert loaded.verdict.enter == 0.8
    assert loaded.verdict.exit == 0.2
    assert loaded.video.rtsp_transport == "udp"


def test_the_file_may_be_named_in_the_environment(toml: Path, tmp_path: Path) -> None:
    assert load_settings(environ={"DFD_CONFIG": str(toml)}).video.sample_fps == 4.0
    other = tmp_path / "other.toml"
    other.write_text("[video]\nsample_fps = 2\n")
    assert load_settings(other, environ={"DFD_CONFIG": str(toml)}).video.sample_fps == 2.0
    assert load_settings(environ={"DFD_CONFIG": ""}) == Settings()


def test_loading_reads_the_real_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFD_WORKER_PROCESSES", "3")
    assert load_settings().worker.processes == 3


@pytest.mark.parametrize("key", known_keys())
def test_every_key_is_read_from_the_environment(key: str) -> None:
    section, name = key.split(".")
    value = getattr(getattr(Settings(), section), name)
    assert load_settings(environ={"DFD_" + key.replace(".", "_").upper(): str(value)}) == Settings()


def test_the_environment_of_settings_makes_equal_settings() -> None:
    settings = Settings().with_values(
        {
            "video.sample_fps": 7.5,
            "video.max_pixels": 1_000_000,
            "redis.url": "redis://:p%40ss=w@host:1/0",
            "windows.frames": 24,
            "verdict.enter": 1 / 3,
            "metrics.monitor_port": -1,
        }
    )
    environ = environment_of(settings)
    assert load_settings(environ=environ) == settings
    assert all(isinstance(value, str) for value in environ.values())
    assert len(environ) == len(known_keys()) == sum(len(fields(getattr(settings, s.name))) for s in fields(settings))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[video]\nsample_fsp = 3", "Unknown setting 'video.sample_fsp' in {path}. Did you mean 'video.sample_fps'?"),
        ("[vidio]\nsample_fps = 3", "Unknown setting 'vidio.sample_fps' in {path}. Did you mean 'video.sample_fps'?"),
        ("sample_fps = 3", "In {path}, 'sample_fps' stands outside a [section]. Did you mean 'video.sample_fps'?"),
        ("[worker]\nprocesses = 2.5", "worker.processes in {path} must be a whole number, not 2.5."),
        ("[worker]\nprocesses = true", "worker.processes in {path} must be a whole number, not True."),
        ('[verdict]\nenter = "high"', "verdict.enter in {path} must be a number, not 'high'."),
        ("[redis]\nurl = 6379", "redis.url in {path} must be a text, not 6379."),
        ("[video]\nsample_fps = [1]", "video.sample_fps in {path} must be a number, not [1]."),
    ],
)
def test_errors_in_the_file_name_it_and_the_nearest_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dfd.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ={})
    assert str(caught.value) == message.format(path=path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Cannot read the settings file .*none\.toml: No such file"):
        load_settings(tmp_path / "none.toml", environ={})
    (tmp_path / "bad.toml").write_text("[video\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings(tmp_path / "bad.toml", environ={})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings(tmp_path / "binary.toml", environ={})


@pytest.mark.parametrize("text", ["9" * 400, "9" * 5000, "0x" + "f" * 5000, "[" * 5000, '"' + "x" * 5000 + '"'])
def test_values_of_absurd_size_get_one_short_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dfd.toml"
    path.write_text(f"[video]\nmax_seconds = {text}\n")
    with pytest.raises(SettingsError, match=str(path)) as caught:
        load_settings(path, environ={})
    assert len(str(caught.value)) < 500
    path.write_text(f'[streams.lobby]\nurl = "x"\nlive = {text}\n')
    with pytest.raises(SettingsError, match=str(path)):
        load_streams(path, Settings())


@pytest.mark.parametrize("letter", "pé:")
def test_a_value_that_is_cut_shows_no_password(letter: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags={"video.sample_fps": f"rtsp://user:{letter * 400}@camera/"}, environ={})
    assert letter * 9 not in str(caught.value)


def test_a_file_that_an_editor_marked_as_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dfd.toml"
    path.write_bytes(b"\xef\xbb\xbf[video]\r\nsample_fps = 4\r\n")
    assert load_settings(path, environ={}).video.sample_fps == 4


def test_a_file_without_an_end_is_not_read_until_memory_is_gone() -> None:
    for read in (
        lambda: load_settings(Path("/dev/zero"), environ={}),
        lambda: read_streams({"streams": {"a": {"url_file": "/dev/zero"}}}, Settings(), "dfd.toml")[0].address({}),
        lambda: read_thresholds(Path("/dev/zero")),
        lambda: TokenBook("/dev/zero"),
        lambda: serve_metrics(CollectorRegistry(), "127.0.0.1", 0, "/dev/zero"),
        lambda: check_outside(
            Settings().with_values({"webhook.url": "http://localhost", "webhook.secret_file": "/dev/zero"})
        ),
    ):
        with pytest.raises(SettingsError, match="File too large"):
            read()


def test_an_unknown_variable_names_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match=r"Unknown environment variable DFD_REDIS; did you mean DFD_REDIS_URL\?"):
        load_settings(environ={"DFD_REDIS": "redis://host"})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"verdict.entr": "1"}, "Unknown setting 'verdict.entr' in the command line. Did you mean 'verdict.enter'?"),
        ({"nonsense": "1"}, "Unknown setting 'nonsense' in the command line. Did you mean"),
        ({"a.b.c": "1"}, "Unknown setting 'a.b.c' in the command line. Did you mean"),
        ({"worker.processes": "two"}, "worker.processes in the command line must be a whole number, not 'two'."),
    ],
)
def test_errors_on_the_command_line(flags: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags=flags, environ={})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("video.sample_fps", 0),
        ("video.sample_fps", "nan"),
        ("video.sample_fps", "inf"),
        ("video.read_timeout_s", -1),
        ("video.rtsp_transport", "sctp"),
        ("video.max_pixels", 1),
        ("video.sample_fps", 1e-320),
        ("video.reconnect_max_s", 0),
        ("video.max_cpu_s", 1e300),
        ("video.read_timeout_s", 10**400),
        ("video.max_bytes", 10**30),
        ("windows.max_gap_s", -1),
        ("windows.cut_threshold", 0),
        ("redis.connect_timeout_s", -5),
        ("redis.url", "redis://a\0b"),
        ("queue.payload_ttl_s", 1e-9),
        ("queue.full_timeout_s", -1),
        ("worker.processes", 10**9),
        ("worker.threads", -1),
        ("bulk.upload_ttl_s", 1e-9),
        ("faces.min_confidence", 1.5),
        ("faces.min_width_px", 2),
        ("faces.max_faces", 0),
        ("faces.crop_scale", 0.5),
        ("faces.crop_cap_px", 4096),
        ("windows.stride", 1),
        ("windows.frames", 17),
        ("windows.frames", 0),
        ("queue.live_bytes", 0),
        ("worker.processes", -1),
        ("worker.batch_wait_s", 0.2),
        ("worker.hang_timeout_s", 0),
        ("worker.start_timeout_s", 0),
        ("model.runtime", "tensorrt"),
        ("verdict.enter", 1.1),
        ("verdict.enter", "nan"),
        ("verdict.min_duration_s", -1),
        ("verdict.reorder_timeout_s", "-inf"),
        ("verdict.cooldown_s", "nan"),
        ("metrics.monitor_port", 70000),
        ("metrics.monitor_port", -2),
    ],
)
def test_values_out_of_range(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=key.split(".", maxsplit=1)[0]):
        load_settings(flags={key: value}, environ={})


def test_the_exit_threshold_is_not_above_the_enter_threshold() -> None:
    with pytest.raises(SettingsError, match=r"verdict\.exit must not be above verdict\.enter"):
        load_settings(flags={"verdict.enter": 0.5, "verdict.exit": 0.6}, environ={})


def test_ranges_are_judged_once_all_layers_are_known(tmp_path: Path) -> None:
    path = tmp_path / "dfd.toml"
    path.write_text("[windows]\nstride = 12\n")  # alone it does not fit the default of 16 frames
    loaded = load_settings(path, environ={"DFD_WINDOWS_FRAMES": "24"})
    assert (loaded.windows.frames, loaded.windows.stride) == (24, 12)


def test_assignments() -> None:
    assert parse_assignments(["a.b=1", " c.d = x=y "]) == {"a.b": "1", "c.d": "x=y"}
    with pytest.raises(SettingsError, match=r"--set takes section.key=value, not 'a.b'"):
        parse_assignments(["a.b"])
