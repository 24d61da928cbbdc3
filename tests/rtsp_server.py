"""A real RTSP server for tests: serves films on a free port of 127.0.0.1 and prints its URL when it is ready.

They are H.264 in mp4, or Matroska whose name tells another codec.

Run by the system's Python, which has GStreamer's bindings (Debian: gir1.2-gst-rtsp-server-1.0,
gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, python3-gi); not by the one that has dfd:

    /usr/bin/python3 tests/rtsp_server.py clip.mp4 --repeat 3 --login user:password
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  (only after the versions are named)

# Of a file whose name ends so: demuxer, parser and payloader.
KINDS = {
    ".mp4": ("qtdemux", "h264parse", "rtph264pay config-interval=1"),
    ".hevc.mkv": ("matroskademux", "h265parse", "rtph265pay config-interval=1"),
    ".mjpeg.mkv": ("matroskademux", "jpegparse", "rtpjpegpay"),
    ".vp8.mkv": ("matroskademux", "identity", "rtpvp8pay"),
}


def pipeline(paths: list[str]) -> str:
    """A launch line that plays files of one kind in turn without a pause, at their pace, once `join` has linked it."""
    demuxer, parser, payloader = next(parts for end, parts in KINDS.items() if paths[0].endswith(end))
    each = [
        f'filesrc location="{path}" ! {demuxer} name=demux{n} {parser} name=parse{n} ! joined.'
        for n, path in enumerate(paths)
    ]
    return f"( concat name=joined ! {payloader} name=pay0 pt=96 {' '.join(each)} )"


def join(_factory: object, media: GstRtspServer.RTSPMedia, count: int) -> None:
    """Link each demuxer to its parser when its pad appears.

    Linked by the launch line, a demuxer may be started before what comes after it, and push into what stands still.
    """
    parts = media.get_element()
    shared = [parts.get_by_name(name) for name in ("pay0", "joined")]
    for n in range(count):
        parser = parts.get_by_name(f"parse{n}")
        parts.get_by_name(f"demux{n}").connect("pad-added", link, [*shared, parser])


def link(_demuxer: Gst.Element, pad: Gst.Pad, later: list[Gst.Element]) -> None:
    """Start what comes `later`, the last first, then link the demuxer's picture pad to it."""
    if pad.get_name().startswith("video"):
        for element in later:
            element.sync_state_with_parent()
        pad.link(later[-1].get_static_pad("sink"))


def require_login(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, login: str) -> None:
    """Let in only who knows `login`, a user:password."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login.split(":", 1)), token)
    server.set_auth(auth)
    structure = Gst.Structure.new_from_string("viewer, media.factory.access=true, media.factory.construct=true")
    factory.add_role_from_structure(structure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--repeat", type=int, default=1, help="of all of them")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--login", help="user:password that clients must give")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(args.port))
    factory = GstRtspServer.RTSPMediaFactory()
    files = args.paths * args.repeat
    factory.set_launch(pipeline(files))
    factory.connect("media-constructed", join, len(files))
    if args.login:
        require_login(server, factory, args.login)
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        raise SystemExit(f"cannot listen on port {args.port}")
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/stream", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
